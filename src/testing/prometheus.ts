// SPDX-License-Identifier: Apache-2.0
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { freePort } from './ports.ts';
import { createProcessGroup, run, waitUntil } from './process.ts';
import type { ProcessGroup, RunningProcess } from './process.ts';
import { startProgress } from './progress.ts';

/** Something that Prometheus scrapes at `/metrics`. */
interface ScrapeTarget {
  readonly job: string;
  /** `host:port`. */
  readonly address: string;
  readonly intervalSeconds: number;
}

/** How to start Prometheus. */
export interface PrometheusOptions {
  readonly scrapeTargets?: readonly ScrapeTarget[];
  /** History: the path of an OpenMetrics file, or its text in pieces (whole lines, without the last `# EOF`). */
  readonly backfill?: string | Iterable<string> | AsyncIterable<string>;
  /** 127.0.0.1 when left out. */
  readonly listenHost?: string;
  /** Told what takes long; says nothing when left out. */
  readonly log?: (line: string) => void;
}

/** A Prometheus server that runs. */
export interface Prometheus {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  /** Replaces what is scraped; Prometheus takes up to 5 s for it. */
  setScrapeTargets(targets: readonly ScrapeTarget[]): Promise<void>;
  /** Stops the server as an outage would; its port and data are kept for `up`. */
  down(): Promise<void>;
  /** Starts the server again; resolves when it answers. */
  up(): Promise<void>;
  /** Ends it for good, and removes its data. */
  stop(): Promise<void>;
}

type Program = 'prometheus' | 'promtool';
type Command = (program: Program, args: readonly string[]) => { readonly command: string; readonly args: string[] };

/**
 * Starts Prometheus with its own port and data folder, after it has made blocks from `backfill`.
 * @throws Error when Prometheus is missing, or refuses the backfill, with what it said
 */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const group = await createProcessGroup('prometheus');
  try {
    const command = await findPrometheus(group.dir);
    if (options.backfill !== undefined) {
      await backfill(command, group.dir, options.backfill, options.log ?? (() => undefined));
    }
    const port = await freePort();
    const server = createServer(group, command, `${options.listenHost ?? '127.0.0.1'}:${port}`);
    await writeConfig(group.dir, options.scrapeTargets ?? []);
    const url = `http://127.0.0.1:${port}`;
    await server.up(url);
    return {
      url,
      port,
      setScrapeTargets: async (targets) => {
        await writeConfig(group.dir, targets);
        const response = await fetch(`${url}/-/reload`, { method: 'POST' });
        if (!response.ok) throw new Error(`Prometheus refuses its new configuration: ${await response.text()}`);
        const active = async (): Promise<boolean> => (await activeTargets(url)) === targets.length;
        await waitUntil('Prometheus knows its new targets', active, { timeoutMs: 30_000 });
      },
      down: server.down,
      up: async () => await server.up(url),
      stop: async () => await group.stop(),
    };
  } catch (error) {
    await group.stop();
    throw error;
  }
}

async function activeTargets(url: string): Promise<number> {
  const response = await fetch(`${url}/api/v1/targets?state=active`);
  const body = (await response.json()) as { data: { activeTargets: unknown[] } };
  return body.data.activeTargets.length;
}

/** Programs of the PATH, else of the image when Docker runs. */
async function findPrometheus(dir: string): Promise<Command> {
  if (await works('promtool', ['--version'])) return (program, args) => ({ command: program, args: [...args] });
  if (await works('docker', ['info'])) {
    const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
    const common = ['run', '--rm', '--network=host', `--user=${user}`, `--volume=${dir}:${dir}`];
    return (program, args) => ({
      command: 'docker',
      args: [...common, `--entrypoint=/bin/${program}`, 'prom/prometheus:v3.5.0', ...args],
    });
  }
  throw new Error(
    'prometheus and promtool are not on the PATH, and Docker does not run. ' +
      'On Debian: hack/servers/install-debian.sh prometheus; on macOS: brew install prometheus',
  );
}

async function works(command: string, args: readonly string[]): Promise<boolean> {
  const result = await run(command, args).catch(() => undefined);
  return result?.code === 0;
}

async function backfill(
  command: Command,
  dir: string,
  history: NonNullable<PrometheusOptions['backfill']>,
  log: (line: string) => void,
): Promise<void> {
  const progress = startProgress('backfilling Prometheus', log);
  try {
    const file = typeof history === 'string' ? history : join(dir, 'backfill.om');
    if (typeof history !== 'string') await pipeline(Readable.from(withEnd(history)), createWriteStream(file));
    // The file is read once for each block: blocks of two hours, the default, would take minutes for some weeks.
    const args = ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', '--max-block-duration=54h', file];
    const made = command('promtool', [...args, join(dir, 'data')]);
    await mkdir(join(dir, 'data'), { recursive: true });
    const result = await run(made.command, made.args);
    if (result.code !== 0) throw new Error(`promtool refuses the history: ${result.stderr.trim().slice(-2000)}`);
  } finally {
    progress.end();
  }
}

async function* withEnd(pieces: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string> {
  yield* pieces;
  yield '# EOF\n';
}

/** The configuration as JSON, which is YAML. */
async function writeConfig(dir: string, targets: readonly ScrapeTarget[]): Promise<void> {
  const config = {
    scrape_configs: targets.map((target) => ({
      job_name: target.job,
      scrape_interval: `${target.intervalSeconds}s`,
      scrape_timeout: `${target.intervalSeconds}s`,
      static_configs: [{ targets: [target.address] }],
    })),
  };
  await writeFile(join(dir, 'prometheus.json'), JSON.stringify(config));
}

function createServer(group: ProcessGroup, command: Command, listen: string) {
  let running: RunningProcess | undefined;
  return {
    up: async (url: string): Promise<void> => {
      const server = command('prometheus', [
        `--config.file=${join(group.dir, 'prometheus.json')}`,
        `--storage.tsdb.path=${join(group.dir, 'data')}`,
        '--storage.tsdb.retention.time=90d',
        `--web.listen-address=${listen}`,
        '--web.enable-lifecycle',
      ]);
      const started = await group.start({ name: 'prometheus', ...server });
      running = started;
      const ready = async (): Promise<boolean> => (await fetch(`${url}/-/ready`)).ok;
      await waitUntil('Prometheus is ready', ready, { timeoutMs: 60_000, process: started });
    },
    down: async (): Promise<void> => {
      // It writes what it has in memory to disk first.
      await running?.stop(15_000);
    },
  };
}
