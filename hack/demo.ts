// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { errorMessage, HeadstartError, invalidInput } from '../src/base/errors.ts';
import { parseSeriesCsv } from '../src/series/csv.ts';
import { formatRfc3339 } from '../src/series/rfc3339.ts';
import { createLifetime, Interrupted } from './demonstration/lifetime.ts';
import type { Lifetime } from './demonstration/lifetime.ts';
import { generateLoad } from './demonstration/load.ts';
import type { Load } from './demonstration/load.ts';
import { help, parseOptions } from './demonstration/options.ts';
import type { DemoOptions } from './demonstration/options.ts';
import { drawRecording } from './demonstration/picture.ts';
import { scoreBoth } from './demonstration/recording.ts';
import type { Recording } from './demonstration/recording.ts';
import { dailyCost, summary } from './demonstration/report.ts';
import { rampStart } from './demonstration/score.ts';
import type { Sizing } from './demonstration/score.ts';
import { runShow } from './demonstration/show.ts';
import { buildStage, namespace } from './demonstration/stage.ts';
import type { Stage } from './demonstration/stage.ts';
import { chooseFromSeconds, createTrace, traceLoad } from './demonstration/trace.ts';
import { readWorkloads } from './demonstration/workloads.ts';

/** The steep ramp of the generator comes this long after the start. */
const rampAfterSeconds = 540;
const historySeconds = 21 * 86_400;
const maxTraceHistorySeconds = 28 * 86_400;
/** What the part of a trace that is shown spans. */
const traceLeastPods = 10;
const traceMostPods = 60;

const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const log = (line: string): boolean => process.stderr.write(`» ${line}\n`);

/** What is played: its name, and how it is made once the start is known. */
interface Source {
  readonly name: string;
  readonly makeLoad: (startSeconds: number) => { readonly load: Load; readonly historySeconds: number };
}

async function chooseSource(options: DemoOptions, sizing: Sizing): Promise<Source> {
  if (options.trace === undefined) {
    const { seed } = options;
    return {
      name: `generated, seed ${seed}`,
      makeLoad: (startSeconds) => ({
        load: generateLoad({ seed, rampStartSeconds: startSeconds + rampAfterSeconds }),
        historySeconds,
      }),
    };
  }
  const { file } = options.trace;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw invalidInput('--trace', file, `a file that can be read (${errorMessage(cause)})`);
  });
  const trace = createTrace(file, parseSeriesCsv(text, file).samples);
  const fromSeconds = options.trace.fromSeconds ?? chooseFromSeconds(trace, options.minutes);
  const range = { least: traceLeastPods * sizing.capacityPerPod, most: traceMostPods * sizing.capacityPerPod };
  const stretch = { fromSeconds, minutes: options.minutes };
  const makeLoad = (startSeconds: number): { load: Load; historySeconds: number } => ({
    load: traceLoad(trace, stretch, { range, startSeconds }),
    historySeconds: Math.min(maxTraceHistorySeconds, fromSeconds - (trace.samples[0]?.timestamp ?? 0)),
  });
  // Whatever is wrong with --from is said now, not after minutes.
  makeLoad(0);
  return { name: `${basename(file)} from ${formatRfc3339(fromSeconds)}`, makeLoad };
}

async function run(options: DemoOptions, lifetime: Lifetime): Promise<void> {
  const workloads = await readWorkloads();
  const { sizing, targetPerPod } = workloads;
  const source = await chooseSource(options, sizing);
  const stage = await buildStage({ lifetime, workloads, makeLoad: source.makeLoad, host: options.host, log });
  print(introduction(options, source, stage));
  const observations = await runShow(stage, { minutes: options.minutes, sizing, lifetime, print });
  const ramp = rampStart(observations);
  const recording: Recording = {
    load: source.name,
    controlPlane: stage.controlPlane.kind,
    startedAt: formatRfc3339(observations[0]?.atSeconds ?? stage.startSeconds),
    sizing,
    targetPerPod,
    ...(ramp === undefined ? {} : { rampStartSeconds: ramp }),
    scores: scoreBoth(observations, sizing),
    observations,
  };
  print(`\n${summary(recording)}`);
  if (options.trace === undefined && ramp !== undefined)
    print(dailyCost(recording.scores, aDayBefore(stage), targetPerPod));
  await write(options.outputFile, () => `${JSON.stringify(recording, undefined, 1)}\n`);
  await write(options.pictureFile, () => drawRecording(recording));
  if (options.keep) await stayUp(stage, lifetime);
}

/** Demand of the day before the start, every ten minutes. */
function aDayBefore({ load, startSeconds }: Stage): number[] {
  return Array.from({ length: 144 }, (_, index) => load.demandAt(startSeconds - (index + 1) * 600));
}

function introduction(options: DemoOptions, source: Source, stage: Stage): string {
  const ramp = options.trace === undefined ? `; a steep ramp comes in about ${rampAfterSeconds / 60} minutes` : '';
  return `
Two Deployments get the same load (${source.name}${ramp}).
A pod carries 50 requests per second and takes 60–120 s to become ready. Both HPAs aim at 35 per pod and read demand
from Headstart, which looks every 15 s here, so that the reactive one sees it as soon as the other; the second also
reads predicted_demand. "short" are pods that the demand needs and that are not ready.

${whatToLookAt(stage)}
`;
}

function whatToLookAt({ controlPlane, prometheus }: Stage): string {
  const { kubeconfigPath, kubectlPath } = controlPlane;
  return [
    'To look at it:',
    `  KUBECONFIG=${kubeconfigPath} ${kubectlPath} -n ${namespace} get df,hpa`,
    `  Prometheus: ${prometheus.url}`,
  ].join('\n');
}

async function stayUp(stage: Stage, lifetime: Lifetime): Promise<void> {
  print(`${whatToLookAt(stage)}\nIt stays up until Ctrl-C.`);
  await lifetime.sleep(2 ** 31 - 1).catch(() => undefined);
}

async function write(file: string | undefined, text: () => string): Promise<void> {
  if (file === undefined) return;
  await writeFile(file, text());
  log(`wrote ${file}`);
}

/** The exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === 'help') {
    process.stdout.write(help);
    return 0;
  }
  const abort = new AbortController();
  const interrupt = (): void => {
    if (abort.signal.aborted) process.exit(130);
    log('stopping; once more to stop at once …');
    abort.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const lifetime = createLifetime(abort.signal);
  try {
    await run(options, lifetime);
    return 0;
  } finally {
    await lifetime.end(log);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const wrongArguments = error instanceof HeadstartError && error.code === 'InvalidInput';
  if (!(error instanceof Interrupted)) process.stderr.write(`hack/demo: ${errorMessage(error)}\n`);
  process.exitCode = error instanceof Interrupted ? 130 : wrongArguments ? 2 : 1;
}
