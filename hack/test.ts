// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

/** One step: a command that passes or fails as a whole, or a suite that counts its own tests. */
interface Step {
  readonly name: string;
  readonly run: () => Promise<Outcome>;
}

const help = `Usage: hack/test [--only STEP[,STEP…]]

Runs everything: types, lint, format, dead code, planted faults, unit, integration and end-to-end tests.
The last line is "N passed, N failed" over all of it; the exit code is 1 when anything failed.

  --only STEP   some steps only, one or more of: `;

async function execute(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function command(name: string, program: string, ...args: readonly string[]): Step {
  return {
    name,
    run: async () => ((await execute(program, args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }),
  };
}

function suite(project: string): Step {
  return {
    name: project,
    run: async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'headstart-test-'));
      const file = path.join(folder, 'result.json');
      try {
        const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${file}`];
        const code = await execute('vitest', ['run', '--project', project, ...reporters]);
        return count(await readFile(file, 'utf8').catch(() => '{}'), code);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** A suite that did not start, or failed outside a test, counts as one failure. */
function count(json: string, code: number): Outcome {
  const result = JSON.parse(json) as { numPassedTests?: number; numFailedTests?: number };
  const passed = result.numPassedTests ?? 0;
  const failed = result.numFailedTests ?? 0;
  if (failed > 0) return { passed, failed };
  return { passed, failed: code === 0 && passed > 0 ? 0 : 1 };
}

const steps: readonly Step[] = [
  command('types', 'tsc', '-p', 'tsconfig.json'),
  command('lint', 'oxlint', 'src', 'hack', 'e2e', 'bench'),
  command('format', 'biome', 'ci', '.'),
  command('dead-code', 'knip'),
  command('planted-faults', 'node', 'hack/plant-faults.ts'),
  suite('unit'),
  command(
    'servers',
    'sh',
    '-c',
    'hack/servers/install-debian.sh prometheus && node hack/control-plane/build.ts && node hack/reference-adapter/build.ts',
  ),
  suite('integration'),
  suite('e2e'),
];

async function main(): Promise<number> {
  const names = steps.map(({ name }) => name);
  const { values } = parseArgs({ options: { only: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    process.stdout.write(`${help}${names.join(', ')}\n`);
    return 0;
  }
  const only = values.only?.split(',') ?? names;
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--only: got "${unknown}", want ${names.join(', ')}`);
  let passed = 0;
  let failed = 0;
  const summary: string[] = [];
  for (const step of steps.filter(({ name }) => only.includes(name))) {
    process.stdout.write(`\n== ${step.name}\n`);
    const started = process.hrtime.bigint();
    const outcome = await step.run();
    passed += outcome.passed;
    failed += outcome.failed;
    const seconds = Number((process.hrtime.bigint() - started) / 1_000_000_000n);
    summary.push(`  ${step.name.padEnd(16)} ${outcome.passed} passed, ${outcome.failed} failed (${seconds} s)`);
  }
  process.stdout.write(`\n${summary.join('\n')}\n${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`hack/test: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
