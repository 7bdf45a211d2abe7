"""Checks a compose file against the schema of the Compose Specification and prints it as JSON. Usage: read.py FILE SCHEMA"""
import json
import sys
import jsonschema
import yaml

with open(sys.argv[1], encoding='utf-8') as file:
    compose = yaml.safe_load(file)
with open(sys.argv[2], encoding='utf-8') as file:
    schema = json.load(file)
problems = list(jsonschema.Draft7Validator(schema).iter_errors(compose))
for problem in problems:
    where = '.'.join(map(str, problem.absolute_path)) or 'top'
    print(f'{where}: {problem.message}', file=sys.stderr)
if problems:
    sys.exit(1)
json.dump(compose, sys.stdout)
