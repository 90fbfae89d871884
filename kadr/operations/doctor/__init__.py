"""Check the machine and the project, and name the command that fixes each problem. The checks change nothing."""
