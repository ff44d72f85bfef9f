// Parse an AsyncAPI document with @asyncapi/parser and print what it has to say; exit 1 on errors.
//
//   npm install --prefix DIR @asyncapi/parser ajv
//   NODE_PATH=DIR/node_modules node tests/asyncapi_check.mjs protocol/asyncapi.json
//
// Payloads are JSON Schema 2020-12, a format the parser has no reader for: without one it warns and skips them.
// Where ajv is installed as well this script gives it that reader, so that the schemas are checked too.

import { createRequire } from 'node:module';
import { resolve, join } from 'node:path';
import { pathToFileURL } from 'node:url';

// ECMAScript imports ignore NODE_PATH; require does not.
const require = createRequire(join(process.cwd(), 'package.json'));
const { Parser, fromFile } = require('@asyncapi/parser');

const LEVELS = ['error', 'warning', 'information', 'hint'];
const path = process.argv[2];
if (!path) {
  console.error('usage: node asyncapi_check.mjs PATH/asyncapi.json');
  process.exit(2);
}
