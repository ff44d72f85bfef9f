// Parse an AsyncAPI document with @asyncapi/parser and print what it has to say; exit 1 on errors.
//
//   npm install --prefix DIR @asyncapi/parser
//   NODE_PATH=DIR/node_modules node tests/asyncapi_check.mjs protocol/asyncapi.json
//
// It takes half a minute: the parser follows the circles of the schemas as far as it can.

import { createRequire } from 'node:module';
import { resolve } from 'node:path';

// import ignores NODE_PATH, require does not
const require = createRequire(resolve('package.json'));
const { Parser, fromFile } = require('@asyncapi/parser');

const LEVELS = ['error', 'warning', 'information', 'hint'];
const path = process.argv[2];
if (!path) {
  console.error('usage: node asyncapi_check.mjs PATH/asyncapi.json');
  process.exit(2);
}

const { document, diagnostics } = await fromFile(new Parser(), resolve(path)).parse();
for (const { severity, code, message, path: place } of diagnostics) {
  console.log(`${LEVELS[severity]} /${place.join('/')}: ${message} (${code})`);
}
const errors = diagnostics.filter(({ severity }) => severity === 0).length;
if (document && !errors) {
  const messages = document.allMessages().all().length;
  console.log(`${document.info().title()} ${document.info().version()}: ${document.allChannels().all().length} channels, ${messages} messages`);
}
process.exit(document && !errors ? 0 : 1);
