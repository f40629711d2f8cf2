// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import { errorMessage, invalidInput } from '../../src/base/errors.ts';
import { parseTimestamp } from '../../src/series/rfc3339.ts';

/** What the demo is told on the command line. */
export interface DemoOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly keep: boolean;
  /** Where all that was observed goes, as JSON. */
  readonly outputFile?: string;
  /** Where a picture of it goes, as SVG. */
  readonly pictureFile?: string;
  readonly trace?: { readonly file: string; readonly fromSeconds?: number };
  /** Address at which the pods of a real cluster reach this machine. */
  readonly host?: string;
}

export const help = `Usage: hack/demo [options]

Two identical Deployments get the same load. One has a plain HPA, the other's HPA also reads predicted_demand. A steep
ramp comes; the table at the end says what each made of it.

Kubernetes: the cluster of KUBECONFIG when it is set, else kind when it is installed and Docker runs, else a control
plane with simulated pods, built from the Go module proxy (about six minutes the first time, then cached).

  --minutes N           how long the show lasts, 5 to 240 [16; 20 with --trace]
  --seed N              another load of the same kind, 0 to 2147483647 [1]
  --trace FILE          replay a recorded series (CSV timestamp,value) instead of the generator: the largest value of the
                        part that is shown becomes the demand of 60 pods. Where its smallest would be below 10 pods, it is
                        squeezed between 10 and 60. Rows before it, up to four weeks, are the history.
  --from TIME           where the part of the trace that is shown begins, RFC 3339 or epoch seconds [five minutes before
                        the steepest ten-minute rise in its last quarter]
  --keep                stay up at the end, until Ctrl-C
  --output json FILE    write all that was observed to FILE
  --picture FILE        draw it as SVG
  --host ADDRESS        with KUBECONFIG, and only then: the address at which the cluster's pods reach this machine, where
                        Prometheus listens for the length of the show. The cluster must have the image headstart:0.1.0.
  --help                this text

Exit codes: 0 the show ran to its end, 1 something failed, 2 wrong arguments, 130 interrupted before the end.
`;

const flags = {
  seed: { type: 'string' },
  minutes: { type: 'string' },
  trace: { type: 'string' },
  from: { type: 'string' },
  keep: { type: 'boolean' },
  output: { type: 'string' },
  picture: { type: 'string' },
  host: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/**
 * The options, or `help` when it is asked for.
 * @throws HeadstartError InvalidInput for the first argument that is wrong
 */
export function parseOptions(argv: readonly string[]): DemoOptions | 'help' {
  const { values, positionals } = parse(argv);
  if (values.help === true) return 'help';
  if (values.from !== undefined && values.trace === undefined)
    throw invalidInput('--from', values.from, 'it together with --trace');
  const outputFile = parseOutput(values.output, positionals);
  return {
    seed: parseInteger('--seed', values.seed ?? '1', { min: 0, max: 2 ** 31 - 1 }),
    minutes: parseInteger('--minutes', values.minutes ?? (values.trace === undefined ? '16' : '20'), {
      min: 5,
      max: 240,
    }),
    keep: values.keep === true,
    ...(outputFile === undefined ? {} : { outputFile }),
    ...(values.picture === undefined ? {} : { pictureFile: values.picture }),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(values.trace === undefined ? {} : { trace: parseTrace(values.trace, values.from) }),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, allowPositionals: true });
  } catch (cause) {
    throw invalidInput('arguments', argv.join(' '), `the options of hack/demo --help (${errorMessage(cause)})`);
  }
}

/** `--output json FILE`: the format is the option's value, the file stands alone. */
function parseOutput(format: string | undefined, positionals: readonly string[]): string | undefined {
  const [file, ...rest] = positionals;
  if (format !== undefined && format !== 'json') throw invalidInput('--output', format, 'json FILE');
  if (format === undefined && file !== undefined) throw invalidInput('arguments', file, 'only options');
  if (format !== undefined && file === undefined) throw invalidInput('--output json', '', 'a file name after it');
  if (rest[0] !== undefined) throw invalidInput('arguments', rest[0], 'only options');
  return file;
}

function parseTrace(file: string, from: string | undefined): NonNullable<DemoOptions['trace']> {
  return from === undefined ? { file } : { file, fromSeconds: parseTimestamp(from, '--from') };
}

function parseInteger(where: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw invalidInput(where, text, `a whole number from ${min} to ${max}`);
  return value;
}
