"""The orchestration room: Prefect flows decide when and where DVC stages run. They compute nothing."""
