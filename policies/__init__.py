"""Policies for Pulumi programs that declare containers: what each refuses is in `README.md`.

`judges/` holds the policies, `readers/` what they read declared resources with. `policy_kit` turns functions into policies,
`pack` lists all policies, and Pulumi runs `__main__.py`.
"""
