// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import type { Sample } from '../../series/time-series.ts';
import type { MetricSource, RangeRequest } from '../../sources/metrics/metric-source.ts';
import { readDemand } from './read-demand.ts';

const minute = 1_800_000_000;
const now = minute + 20.7;
const signal = new AbortController().signal;

interface Given {
  readonly latest?: number | Error | undefined;
  readonly samples?: readonly Sample[] | Error;
  readonly sinceSeconds?: number | undefined;
  readonly failedBefore?: string;
}

/** Reads with a source that gives what is given; tells which ranges were asked for, as seconds from the minute. */
async function read(given: Given) {
  const { latest = 5, samples = [], failedBefore } = given;
  const ranges: RangeRequest[] = [];
  const source: MetricSource = {
    latest: async ({ atSeconds }) => {
      if (latest instanceof Error) throw latest;
      return latest < 0 ? undefined : { timestamp: atSeconds, value: latest };
    },
    range: async (request) => {
      ranges.push(request);
      if (samples instanceof Error) throw samples;
      return [...samples];
    },
  };
  const sinceSeconds = 'sinceSeconds' in given ? given.sinceSeconds : minute - 60;
  const plan =
    failedBefore === undefined
      ? { kind: 'read' as const, sinceSeconds }
      : { kind: 'wait' as const, failure: failedBefore };
  const asked = { query: 'x', from: 'server "default"', windowSeconds: 86_400, plan };
  const result = await readDemand(source, asked, { now, signal });
  return { ...result, spans: ranges.map(({ fromSeconds, toSeconds }) => [fromSeconds - minute, toSeconds - minute]) };
}

/** What `latest` stands for here. */
const nothing = -1;
const at = (offset: number, value = 1): Sample => ({ timestamp: minute + offset, value });

describe('what is asked for', () => {
  test.each<[string, Given, number[][]]>([
    ['all of the window at first', { sinceSeconds: undefined }, [[-86_400, 0]]],
    ['what is new, and a little before it', {}, [[-360, 0]]],
    ['nothing when the minute is known', { sinceSeconds: minute }, []],
    ['what is new also then, when there is no value now', { latest: nothing, sinceSeconds: minute }, [[-300, 0]]],
    ['no more than the window after a long outage', { sinceSeconds: minute - 900_000 }, [[-86_400, 0]]],
    ['nothing of the future when the clock was set back', { sinceSeconds: minute + 9000 }, [[-300, 0]]],
    ['nothing while it waits after a failure', { failedBefore: 'x' }, []],
    ['nothing more of a source that failed', { latest: new HeadstartError('Timeout', 'x') }, []],
    [
      'the history even when the value now is not a number',
      { latest: new HeadstartError('NotANumber', 'x') },
      [[-360, 0]],
    ],
  ])('%s', async (_rule, given, spans) => {
    expect((await read(given)).spans).toEqual(spans);
  });
});

describe('where to go on from', () => {
  test.each<[string, Given, number | undefined]>([
    ['the last sample', { samples: [at(-60), at(0)] }, 0],
    ['the last sample before a gap, as the rest may come late', { samples: [at(-1200)] }, -1200],
    ['no more than six hours back', { samples: [at(-80_000)] }, -21_600],
    ['where it was when there is nothing', { sinceSeconds: minute - 1200 }, -1200],
    ['the minute when there is nothing at all', { sinceSeconds: undefined }, 0],
    ['unknown when it failed', { samples: new HeadstartError('Timeout', 'x') }, undefined],
  ])('%s', async (_rule, given, offset) => {
    const { readUntil } = await read(given);
    expect(readUntil).toBe(offset === undefined ? undefined : minute + offset);
  });
});

describe('what demand is', () => {
  test.each<[string, Given, object]>([
    ['the value now, at a whole second', {}, { kind: 'sample', sample: at(20, 5) }],
    [
      'the newest sample when there is no value now',
      { latest: nothing, samples: [at(-120), at(-60, 7)] },
      { kind: 'sample', sample: at(-60, 7) },
    ],
    ['none when there is neither', { latest: nothing }, { kind: 'none' }],
    [
      'an outage',
      { latest: new HeadstartError('Unavailable', 'away') },
      { kind: 'failed', reason: 'SourceUnavailable', message: 'server "default": away' },
    ],
    ['throttling is an outage too', { latest: new HeadstartError('Throttled', 'x') }, { reason: 'SourceUnavailable' }],
    ['a refused query', { latest: new HeadstartError('QueryFailed', 'x') }, { reason: 'QueryFailed' }],
    ['an answer that makes no sense', { latest: new HeadstartError('BadResponse', 'x') }, { reason: 'BadResponse' }],
  ])('%s', async (_rule, given, demand) => {
    expect((await read(given)).demand).toMatchObject(demand);
  });

  test('what has no word is thrown', async () => {
    await expect(read({ latest: new TypeError('x') })).rejects.toThrow('x');
    await expect(read({ latest: new HeadstartError('Internal', 'y') })).rejects.toThrow('y');
  });

  test('negative samples are no history', async () => {
    expect((await read({ samples: [at(-60, -3), at(0, 2)] })).samples).toEqual([at(0, 2)]);
  });
});
