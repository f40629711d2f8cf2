// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A fault that `npm test` must find: what is written where, and the word that the finding carries. */
interface Fault {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Lines added to files that exist. */
  readonly append?: Readonly<Record<string, string>>;
  readonly finding: string;
}

const faults: readonly Fault[] = [
  {
    name: 'layer breach: forecast imports kube',
    files: {
      'src/forecast/planted.ts':
        "import type { KubeClient } from '../kube/client.ts';\nexport type Planted = KubeClient;\n",
    },
    finding: 'no-restricted-imports',
  },
  {
    name: 'layer breach: an adapter imports the configuration',
    files: { 'src/kube/planted.ts': "import type { Config } from '../config.ts';\nexport type Planted = Config;\n" },
    finding: 'no-restricted-imports',
  },
  {
    name: 'layer breach: a decision reads by itself',
    files: {
      'src/controllers/planted/decide.ts':
        "import type { KubeClient } from '../../kube/client.ts';\nexport type Planted = KubeClient;\n",
    },
    finding: 'no-restricted-imports',
  },
  {
    name: 'layer breach: what ships imports what tests use',
    files: {
      'src/cli/planted.ts': "import { freePort } from '../testing/ports.ts';\nexport const planted = freePort;\n",
    },
    finding: 'no-restricted-imports',
  },
  {
    name: 'import cycle',
    files: {
      'src/series/planted-a.ts': "import { b } from './planted-b.ts';\nexport const a = (): number => b();\n",
      'src/series/planted-b.ts': "import { a } from './planted-a.ts';\nexport const b = (): number => a();\n",
    },
    finding: 'no-cycle',
  },
  {
    name: 'floating promise',
    files: {
      'src/kube/planted.ts':
        'async function work(): Promise<void> {\n  await Promise.resolve();\n}\nexport function start(): void {\n  work();\n}\n',
    },
    finding: 'no-floating-promises',
  },
  {
    name: 'unused export',
    files: {},
    append: { 'src/base/duration.ts': '\nexport const plantedAndNeverUsed = 1;\n' },
    finding: 'plantedAndNeverUsed',
  },
  {
    name: 'Date in a pure room',
    files: { 'src/capacity/planted.ts': 'export const planted = (): number => Date.now();\n' },
    finding: 'no-restricted-globals',
  },
  {
    name: 'non-exhaustive switch',
    files: {
      'src/capacity/planted.ts':
        "export function planted(mode: 'Preview' | 'Auto'): void {\n  switch (mode) {\n    case 'Preview':\n      return;\n  }\n}\n",
    },
    finding: 'switch-exhaustiveness-check',
  },
  {
    name: 'type error',
    files: { 'src/base/planted.ts': "export const planted: number = 'text';\n" },
    finding: 'TS2322',
  },
];

const root = fileURLToPath(new URL('../', import.meta.url));

async function run(command: readonly string[], cwd: string): Promise<{ code: number; output: string }> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? 1));
  });
  return { code, output };
}

/** The checkout's files in a new folder, with the installed packages linked in. */
async function copyCheckout(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'headstart-plant-'));
  const { output } = await run(['git', 'ls-files', '--cached', '--others', '--exclude-standard'], root);
  for (const file of output.split('\n').filter((line) => line !== '')) {
    await cp(path.join(root, file), path.join(folder, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error; // deleted, and not yet committed
    });
  }
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}

async function plant(fault: Fault): Promise<string | undefined> {
  const folder = await copyCheckout();
  try {
    for (const [file, text] of Object.entries(fault.files)) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
      await writeFile(path.join(folder, file), text);
    }
    for (const [file, text] of Object.entries(fault.append ?? {})) await appendFile(path.join(folder, file), text);
    const { code, output } = await run(['npm', 'test', '--silent'], folder);
    if (code === 0) return 'npm test passed';
    return output.includes(fault.finding)
      ? undefined
      : `npm test failed without ${fault.finding}:\n${output.slice(-2000)}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

let failed = 0;
for (const fault of faults) {
  const problem = await plant(fault);
  if (problem !== undefined) failed += 1;
  process.stdout.write(
    `${problem === undefined ? 'found ' : 'MISSED'}  ${fault.name}${problem === undefined ? '' : `: ${problem}`}\n`,
  );
}
process.stdout.write(`${faults.length - failed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
