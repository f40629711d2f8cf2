// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import { errorMessage, HeadstartError } from '../base/errors.ts';
import { inputFlags, parseInput, parseOutput, parseTimeZone, wholeDuration } from './series-options.ts';
import type { SeriesInput } from './series-options.ts';

export const detectHelp = `headstart detect: scores how unusual each sample of a series is.

Usage:
  headstart detect --input FILE|- [flags]
  headstart detect --prometheus URL --query QUERY [flags]

Input:
  --input FILE|-          CSV with the header timestamp,value; - reads stdin. One row per sample that exists; an empty
                          value or NaN is a missing sample, and scores 0
  --prometheus URL        read the series from Prometheus instead
  --query QUERY           PromQL that gives one series
  --history DURATION      with --prometheus: how far back from now (default 14d)
  --step DURATION         with --prometheus: between the samples (default 1m)
  --time-zone ZONE        IANA zone in which days are counted (default UTC)

Output:
  --out FILE|-            default -, standard output
  --output csv|json       csv: timestamp,score (default); json: also the surprise and how rare what each detector saw is
  --explain               also say what the detectors saw at the highest scores, on standard error; in json, each row
                          says it anyway

One row for each row of the input, in its order. Scores are between 0 and 1, and from 0.5 on a sample is an anomaly. A
score uses only samples up to its own; the first 100 score 0, and those of the first days are less sure. Of an anomaly
that goes on only the first row is reported: the scores after it are halved for a while. The surprise is not.
Times are whole epoch seconds or RFC 3339, durations like 90s, 5m, 24h, 14d.
Exit codes: 0 scores were written; 1 reading or writing failed, or there is no sample; 2 a wrong argument or row.
`;

/** What `headstart detect` is asked for. */
export interface DetectCommand {
  readonly input: SeriesInput;
  readonly historySeconds: number;
  readonly stepSeconds: number;
  readonly timeZone: string;
  readonly out: string;
  readonly output: 'csv' | 'json';
  readonly explain: boolean;
}

const flags = {
  help: { type: 'boolean', short: 'h' },
  ...inputFlags,
  history: { type: 'string', default: '14d' },
  step: { type: 'string', default: '1m' },
  'time-zone': { type: 'string', default: 'UTC' },
  out: { type: 'string', default: '-' },
  output: { type: 'string', default: 'csv' },
  explain: { type: 'boolean', default: false },
} as const;

/**
 * The command, or `help`.
 * @throws HeadstartError InvalidInput that names the flag
 */
export function parseDetectCommand(argv: readonly string[]): DetectCommand | 'help' {
  const values = readFlags(argv);
  if (values.help === true) return 'help';
  return {
    input: parseInput(values),
    historySeconds: wholeDuration(values.history, '--history'),
    stepSeconds: wholeDuration(values.step, '--step'),
    timeZone: parseTimeZone(values['time-zone']),
    out: values.out,
    output: parseOutput(values.output),
    explain: values.explain,
  };
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new HeadstartError('InvalidInput', errorMessage(error));
  }
}
