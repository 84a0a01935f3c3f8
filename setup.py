"""Which packages are installed: the verifier, and data that lies elsewhere in a checkout."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages("verifier"),
        "protoproof.policies",
        "protoproof.schema",
        "protoproof.starter",
        "protoproof.zoo",
    ],
    package_dir={
        "": "verifier",
        "protoproof.policies": "specs/policies",
        "protoproof.schema": "specs/schema",
        "protoproof.starter": "specs/starter",
        "protoproof.zoo": "models/zoo",
    },
)
