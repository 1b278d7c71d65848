"""What runs on the workstation: the command `reefloop`.

The machine brings Amazon Linux's own Python (3.9) and the AWS command line; nothing is installed beside them.
"""
