#!/usr/bin/env python3
"""Makes C and the manual from the schema; schema/README.md says how the schema is written.

    schema.py [--prefix P] [--include PATH/] --output DIRECTORY FILE.json...
    schema.py --manual FILE.md FILE.json...

Into the directory go NAME.h and NAME.c for each NAME.json, and P_tables.c, P_options.h and P_commands.c. P, by default
"schema", is what the tables' names begin with; PATH/ is what the headers are included by.
"""
import argparse
import sys

import schema_c
import schema_manual
from schema_model import Schema, SchemaError


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--prefix', default='schema')
    parser.add_argument('--include', default='')
    parser.add_argument('--output')
    parser.add_argument('--manual')
    parser.add_argument('files', nargs='+')
    options = parser.parse_args()
    try:
        schema = Schema(options.files)
    except SchemaError as error:
        sys.exit(f'schema.py: {error}')
    if options.output:
        schema_c.write(schema, options.output, options.prefix, options.include)
    if options.manual:
        schema_manual.write(schema, options.manual)


if __name__ == '__main__':
    main()
