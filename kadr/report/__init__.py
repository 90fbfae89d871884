"""The library room's report: what a run took in, learned and finds, for people.

`figures` and `tables` choose the numbers, `plots` and `ratings` draw, `examples` and `leaks` show photos, `page` has
it all.
"""
