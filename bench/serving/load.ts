// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';

/** Where the requests go and what they carry. */
export interface Target {
  readonly origin: string;
  /** The path of request number `index`. */
  readonly path: (index: number) => string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly tls: { readonly ca: string; readonly servername?: string; readonly cert?: string; readonly key?: string };
}

/** What came of some load. Latencies are in milliseconds. */
interface Outcome {
  readonly requests: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Open connections that are kept alive. */
export interface Load {
  /** Each connection sends its next request when the last one is answered: as many as there can be. */
  saturate(seconds: number): Promise<Outcome>;
  /** Requests begin at a fixed rate, whether others are answered or not, so that a slow answer hides no other. */
  pace(perSecond: number, seconds: number): Promise<Outcome>;
  close(): Promise<void>;
}

/** Load over so many HTTP/1.1 connections. */
export function createLoad(target: Target, connections: number): Load {
  const pool = new Pool(target.origin, { connections, pipelining: 1, connect: target.tls, allowH2: false });
  let index = 0;
  const once = async (into: Tally): Promise<void> => {
    const startMs = performance.now();
    const options = { method: 'GET', path: target.path(index++), headers: target.headers } as const;
    const ok = await pool.request(options).then(drain, () => false);
    if (ok) into.latenciesMs.push(performance.now() - startMs);
    else into.failures += 1;
  };
  return {
    saturate: async (seconds) => {
      const tally = createTally();
      const endMs = performance.now() + seconds * 1000;
      const loop = async (): Promise<void> => {
        while (performance.now() < endMs) await once(tally);
      };
      await Promise.all(Array.from({ length: connections }, loop));
      return outcome(tally);
    },
    pace: async (perSecond, seconds) => {
      const tally = createTally();
      const startMs = performance.now();
      const pending: Promise<void>[] = [];
      for (let sent = 0; sent < perSecond * seconds; sent += 1) {
        const waitMs = startMs + (sent * 1000) / perSecond - performance.now();
        if (waitMs > 0) await delay(waitMs);
        pending.push(once(tally));
      }
      await Promise.all(pending);
      return outcome(tally);
    },
    close: async () => await pool.close(),
  };
}

async function drain({ statusCode, body }: Dispatcher.ResponseData): Promise<boolean> {
  await body.dump();
  return statusCode === 200;
}

interface Tally {
  readonly startMs: number;
  readonly latenciesMs: number[];
  failures: number;
}

function createTally(): Tally {
  return { startMs: performance.now(), latenciesMs: [], failures: 0 };
}

function outcome({ startMs, latenciesMs, failures }: Tally): Outcome {
  const sorted = Float64Array.from(latenciesMs).toSorted();
  const quantile = (q: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
  const seconds = (performance.now() - startMs) / 1000;
  return { requests: sorted.length, failures, seconds, p50: quantile(0.5), p99: quantile(0.99) };
}

/** CPU time that a process has used so far, in seconds (Linux). */
export function cpuSeconds(pid: number): number {
  // After the command's name, which may hold spaces: utime and stime are fields 14 and 15 of proc(5), in 1/100 s.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Memory of a process that is in RAM now, in MiB (Linux). */
export function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
