"""What the recorded service answers: fixed records, a few that change from question to question, and faults.

Project `new` filters lists by name and has operations. Project `old` is a released server: it ignores `name`, pages
two at a time and knows no operations.
"""
