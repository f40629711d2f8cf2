// SPDX-License-Identifier: Apache-2.0
import { errorMessage } from './base/errors.ts';
import { help } from './cli/help.ts';
import { readVersion } from './cli/version.ts';

type Command = (argv: readonly string[]) => Promise<number>;

/** Loaded when they are named: a forecast on the command line needs no server. */
const commands: Readonly<Record<string, Command>> = {
  serve: async (argv) => (await import('./cli/serve.ts')).runServe(argv, process.env),
  forecast: async (argv) => (await import('./cli/forecast.ts')).runForecast(argv, process),
  detect: async (argv) => (await import('./cli/detect.ts')).runDetect(argv, process),
  doctor: async (argv) => (await import('./cli/doctor.ts')).runDoctor(argv, process),
  version: async () => print(`headstart ${await readVersion()}\n`),
  help: () => Promise.resolve(print(help)),
};
const aliases: Readonly<Record<string, string>> = { '--help': 'help', '-h': 'help', '--version': 'version' };

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function main([name, ...argv]: readonly string[]): Promise<number> {
  if (name === undefined) {
    process.stderr.write(help);
    return 2;
  }
  const command = commands[aliases[name] ?? name];
  if (command !== undefined) return command(argv);
  process.stderr.write(`headstart: command: got "${name}", want one of ${Object.keys(commands).join(', ')}\n`);
  return 2;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`headstart: ${errorMessage(error)}\n`);
  return 1;
});
