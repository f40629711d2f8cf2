// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { drawRecording } from './demonstration/picture.ts';
import type { Recording } from './demonstration/recording.ts';

// Draws again what `hack/demo --output json FILE` wrote, without another show.
const [input, output] = process.argv.slice(2);
if (input === undefined || output === undefined) {
  process.stderr.write('Usage: hack/bootstrap node hack/demo-picture.ts RECORDING.json PICTURE.svg\n');
  process.exitCode = 2;
} else {
  await writeFile(output, drawRecording(JSON.parse(await readFile(input, 'utf8')) as Recording));
}
