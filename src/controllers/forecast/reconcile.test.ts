// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Condition } from '../../api/conditions.ts';
import type { ConditionType } from '../../api/reasons.ts';
import type { DemandForecast, DemandForecastSpec, DemandForecastStatus } from '../../api/v1alpha1/demand-forecast.ts';
import { errorMessage, HeadstartError } from '../../base/errors.ts';
import { fitTarget } from '../../forecast/fit.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import type { StoreProblem } from '../../history/database.ts';
import { openStateStore } from '../../history/state-store.ts';
import type { KubeObject, KubeRequest } from '../../kube/client.ts';
import type { EventToRecord } from '../../kube/recorder.ts';
import { createStore } from '../../kube/store.ts';
import type { LatestRequest, MetricSource, RangeRequest } from '../../sources/metrics/metric-source.ts';
import type { PrometheusServers } from '../../sources/metrics/prometheus-servers.ts';
import * as builders from '../../testing/builders.ts';
import { createFakeClock, settle } from '../../testing/fake-clock.ts';
import type { FakeClock } from '../../testing/fake-clock.ts';
import { createFakeKubeClient } from '../../testing/fake-kube-client.ts';
import { createForecastController } from './reconcile.ts';
import { splitStatus } from './status-parts.ts';

const day = 86_400;
const windowSeconds = 6 * 3600;
const intervalMs = 60_000;
/** A full minute. */
const startSeconds = 1_800_000_000;

/** As little to fit as there may be: these tests are not about models. */
function demandForecast({ spec, ...rest }: Parameters<typeof builders.demandForecast>[0]): DemandForecast {
  return builders.demandForecast({ ...rest, spec: { history: { window: '6h' }, models: ['naive'], ...spec } });
}

/** A daily wave. */
function wave(timestamp: number): number {
  return 100 + 50 * Math.sin((timestamp / day) * 2 * Math.PI);
}

interface FakeSource extends MetricSource {
  readonly ranges: RangeRequest[];
  readonly latests: LatestRequest[];
  /** undefined gives a gap; an error is thrown. */
  demand: (timestamp: number, query: string) => number | undefined;
  /** Thrown by ranges alone. */
  rangeError: Error | undefined;
  /** Never answers. */
  hangs: (query: string) => boolean;
}

function createFakeSource(): FakeSource {
  const answer = async <T>(request: RangeRequest | LatestRequest, value: () => T): Promise<T> => {
    if (source.hangs(request.query)) {
      await new Promise((_, reject) => request.signal?.addEventListener('abort', () => reject(request.signal?.reason)));
    }
    return value();
  };
  const source: FakeSource = {
    ranges: [],
    latests: [],
    demand: wave,
    rangeError: undefined,
    hangs: () => false,
    range: async (request) => {
      source.ranges.push(request);
      if (source.rangeError !== undefined) throw source.rangeError;
      return await answer(request, () => {
        const samples = [];
        for (let timestamp = request.fromSeconds; timestamp <= request.toSeconds; timestamp += request.stepSeconds) {
          const value = source.demand(timestamp, request.query);
          if (value !== undefined) samples.push({ timestamp, value });
        }
        return samples;
      });
    },
    latest: async (request) => {
      source.latests.push(request);
      return await answer(request, () => {
        const value = source.demand(request.atSeconds, request.query);
        return value === undefined ? undefined : { timestamp: request.atSeconds, value };
      });
    },
  };
  return source;
}

/** The server default, and one that nobody asks. */
function fakeServers(source: MetricSource): PrometheusServers {
  // The same object: tests change what it does.
  const labelled = Object.assign(source, { latestByLabel: () => Promise.resolve(new Map<string, never>()) });
  const server = {
    url: 'http://prometheus',
    enforceNamespaceLabel: undefined,
    source: labelled,
    sourceFor: () => source,
  };
  return {
    names: ['default', 'other'],
    named: (name) => (name === 'default' ? server : undefined),
    at: () => undefined,
  };
}

function pods(count: number, startupSeconds: number): KubeObject[] {
  const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();
  return Array.from({ length: count }, (_, index) => ({
    metadata: { name: `web-${index}`, uid: `pod-${index}`, creationTimestamp: iso(startSeconds - day) },
    status: {
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: iso(startSeconds - day + startupSeconds) }],
      containerStatuses: [{ restartCount: 0 }],
    },
  }));
}

/** Server-side apply, as far as it goes here: what a manager does not apply any more, and owns alone, is removed. */
function createOwnership() {
  const owned = new Map<string, DemandForecastStatus>();
  return {
    apply: (
      key: string,
      manager: string,
      status: DemandForecastStatus,
      { status: standing = {} }: DemandForecast,
    ): DemandForecastStatus => {
      // A status that was there from the beginning was written by an earlier process.
      const { fast, slow } = splitStatus(standing);
      const before = Object.keys(owned.get(`${key} ${manager}`) ?? (manager === 'headstart' ? fast : slow));
      owned.set(`${key} ${manager}`, status);
      const rest = Object.entries(standing).filter(([field]) => !before.includes(field));
      return { ...Object.fromEntries(rest), ...status };
    },
  };
}

/** One namespace with a Deployment, an apiserver that keeps statuses, a source, and the controller. */
function createWorld(options: Pick<Parameters<typeof createForecastController>[0], 'fit' | 'onFit' | 'keep'> = {}) {
  const clock: FakeClock = createFakeClock(startSeconds * 1000);
  const source = createFakeSource();
  const forecasts = createStore<DemandForecast & KubeObject>();
  const events: EventToRecord[] = [];
  const problems: unknown[] = [];
  const stop = new AbortController();
  const decisions: Parameters<NonNullable<Parameters<typeof createForecastController>[0]['onDecision']>>[0][] = [];
  const world = {
    targets: new Set(['web']),
    pods: pods(6, 75),
    patchError: undefined as Error | undefined,
    podsError: undefined as Error | undefined,
  };
  const answer = ({ path, method }: KubeRequest): unknown => {
    if (method === 'PATCH') return patch(path);
    if (path.endsWith('/pods')) {
      if (world.podsError !== undefined) throw world.podsError;
      return { items: world.pods };
    }
    const [, name = ''] = /deployments\/(.*)$/.exec(path) ?? [];
    if (!world.targets.has(name)) throw new HeadstartError('NotFound', `reading ${path}`);
    return {
      spec: { selector: { matchLabels: { app: name }, matchExpressions: [{ key: 'x', operator: 'DoesNotExist' }] } },
    };
  };
  const client = createFakeKubeClient(answer);
  const owned = createOwnership();
  const patch = (path: string): unknown => {
    if (world.patchError !== undefined) throw world.patchError;
    const [, namespace, name = ''] = /namespaces\/(.*)\/demandforecasts\/(.*)\/status$/.exec(path) ?? [];
    const standing = forecasts.get(namespace, name);
    if (standing === undefined) throw new HeadstartError('NotFound', `applying ${path}`);
    const { body, query } = client.requests.at(-1) ?? {};
    const { status } = body as { status: DemandForecastStatus };
    put({
      ...standing,
      status: owned.apply(`${namespace}/${name}`, String(query?.['fieldManager']), status, standing),
    });
    return undefined;
  };
  const controller = createForecastController({
    client,
    clock,
    random: () => 0.5,
    forecasts,
    hpas: createStore<HorizontalPodAutoscaler & KubeObject>(),
    servers: fakeServers(source),
    recorder: { record: (event) => events.push(event) },
    intervalSeconds: intervalMs / 1000,
    onDecision: (decision) => void decisions.push(decision),
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  let version = 1;
  const put = (forecast: DemandForecast): void => {
    version += 1;
    const change = forecasts.set({ ...forecast, metadata: { ...forecast.metadata, resourceVersion: `${version}` } });
    if (change !== undefined) controller.changed(change);
  };
  let running: Promise<void> | undefined;
  return Object.assign(world, {
    clock,
    source,
    client,
    events,
    decisions,
    problems,
    put,
    /** A new spec, as a user applies it. */
    edit: (name: string, spec: Partial<DemandForecastSpec>): void => {
      const old = forecasts.get('shop', name) ?? demandForecast({ name });
      const metadata = { ...old.metadata, generation: old.metadata.generation + 1 };
      put({ ...old, metadata, spec: { ...old.spec, ...spec } });
    },
    remove: (name: string): void => {
      const change = forecasts.remove('shop', name);
      if (change !== undefined) controller.changed(change);
    },
    run: async (signal: AbortSignal = stop.signal): Promise<void> => {
      running = controller.run(signal);
      await settle();
    },
    keepAll: async (): Promise<void> => {
      await controller.keepAll(AbortSignal.timeout(10_000));
    },
    /** Lets one interval pass. */
    pass: async (intervals = 1): Promise<void> => await clock.advance(intervals * intervalMs),
    stop: async (): Promise<void> => {
      stop.abort(new Error('the test is over'));
      await running;
    },
    status: (name = 'web'): DemandForecastStatus => forecasts.get('shop', name)?.status ?? {},
    condition: (type: ConditionType, name = 'web'): Condition | undefined =>
      forecasts.get('shop', name)?.status?.conditions?.find((item) => item.type === type),
    patches: (manager?: string) =>
      client.requests.filter(({ method, query }) => {
        return method === 'PATCH' && (manager === undefined || query?.['fieldManager'] === manager);
      }).length,
  });
}

let open: ReturnType<typeof createWorld> | undefined;

/** Fits that are made when the test says so. */
function createFits() {
  const asked: { readonly isUrgent: boolean; readonly answer: (message?: string) => Promise<void> }[] = [];
  const told: Parameters<NonNullable<Parameters<typeof createForecastController>[0]['onFit']>>[0][] = [];
  const fit: NonNullable<Parameters<typeof createForecastController>[0]['fit']> = async (input, { isUrgent }) =>
    await new Promise((resolve) => {
      const answer = async (message?: string): Promise<void> => {
        const fitted = fitTarget(input());
        resolve(message === undefined ? fitted : { kind: 'failed', message });
        await settle();
      };
      asked.push({ isUrgent, answer });
    });
  return { asked, told, options: { fit, onFit: (one: (typeof told)[number]) => void told.push(one) } };
}

async function startedWorld(...given: DemandForecast[]): Promise<ReturnType<typeof createWorld>> {
  const world = createWorld();
  open = world;
  for (const forecast of given.length === 0 ? [demandForecast({})] : given) world.put(forecast);
  await world.run();
  return world;
}

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

describe('reading demand', () => {
  test('the first look reads the whole window by the minute, the next ones only what is new, with an overlap', async () => {
    const { source, pass } = await startedWorld();
    await pass(2);
    const spans = source.ranges.map(({ fromSeconds, toSeconds }) => [
      fromSeconds - startSeconds,
      toSeconds - startSeconds,
    ]);
    expect(spans).toEqual([
      [-windowSeconds, 0],
      [-300, 60],
    ]);
    expect(source.ranges.every(({ stepSeconds }) => stepSeconds === 60)).toBe(true);
  });

  test('within a minute only the value of now is read', async () => {
    const { source, clock, edit } = await startedWorld();
    await clock.advance(5000);
    edit('web', { quantile: '0.9' });
    await settle();
    expect(source.ranges).toHaveLength(1);
    expect(source.latests.at(-1)?.atSeconds).toBe(startSeconds + 5);
  });

  test('the status has observation, forecast, model, lead and history', async () => {
    const { status, condition } = await startedWorld();
    expect(status().observed).toEqual({ value: expect.stringMatching(/^\d+m$/), time: '2027-01-15T08:00:00Z' });
    expect(status().forecast).toMatchObject({ issuedAt: '2027-01-15T08:00:00Z', quantile: '0.7', stepSeconds: 60 });
    expect(status().forecast?.values).toHaveLength(60);
    expect(status().lead).toEqual({ p50: '2m', p90: '2m', samples: 6, source: 'Measured' });
    expect(status().history).toEqual({ have: '6h', need: '2h' });
    expect(status().model?.name).toBeTruthy();
    expect(condition('Forecastable')).toMatchObject({ status: 'True', reason: 'ModelFitted' });
    expect(condition('Publishing')).toMatchObject({ status: 'True', reason: 'Forecast' });
  });

  test('another query, or another window, is read anew; nothing of the old demand stays', async () => {
    const { source, edit, status } = await startedWorld();
    const { observed } = status();
    source.demand = (timestamp, query) => (query === 'other' ? undefined : wave(timestamp));
    edit('web', { source: { prometheus: { query: 'other', serverRef: 'default' } } });
    await settle();
    expect(source.ranges.at(-1)).toMatchObject({ query: 'other', fromSeconds: startSeconds - windowSeconds });
    expect(observed).toBeDefined();
    expect(status().observed).toBeUndefined();
    expect(status().forecast).toBeUndefined();
    edit('web', { source: { prometheus: { query: 'x', serverRef: 'default' } }, history: { window: '3h' } });
    await settle();
    expect(source.ranges.at(-1)).toMatchObject({ query: 'x', fromSeconds: startSeconds - 10_800 });
  });

  test('a negative demand is told, and never learnt', async () => {
    const { source, condition, status, pass } = await startedWorld();
    source.demand = () => -5;
    await pass();
    expect(condition('Observed')).toMatchObject({ status: 'False', reason: 'NegativeDemand' });
    expect(status().observed?.time).toBe('2027-01-15T08:00:00Z');
    expect(status().forecast?.values.every((value) => /^[1-9]\d+m$/.test(value))).toBe(true);
  });

  test('a server that the configuration does not have is named, with those it has', async () => {
    const { condition } = await startedWorld(
      demandForecast({ spec: { source: { prometheus: { query: 'x', serverRef: 'theirs' } } } }),
    );
    const message = 'source.prometheus.serverRef: got "theirs", want one of default, other';
    expect(condition('Observed')).toMatchObject({ reason: 'UnknownServer', message });
    expect(condition('Forecastable')).toMatchObject({
      reason: 'NoHistory',
      message: expect.stringContaining('theirs'),
    });
  });

  test('a history that cannot be read does not hide the demand of now', async () => {
    const world = createWorld();
    open = world;
    world.source.rangeError = new HeadstartError('SeveralSeries', 'the query gives more than one series');
    world.put(demandForecast({}));
    await world.run();
    expect(world.condition('Observed')).toMatchObject({ status: 'True' });
    expect(world.condition('Forecastable')).toMatchObject({
      reason: 'NoHistory',
      message: expect.stringMatching(/cannot be read: server "default": the query gives more than one series/),
    });
    world.source.rangeError = undefined;
    await world.pass(2);
    expect(world.condition('Forecastable')).toMatchObject({ status: 'True' });
  });
});

test('a history that cannot be read is asked for less and less often', async () => {
  const world = createWorld();
  open = world;
  world.source.rangeError = new HeadstartError('QueryFailed', 'too many samples');
  world.put(demandForecast({}));
  await world.run();
  await world.pass(40);
  expect(world.source.latests).toHaveLength(41);
  expect(world.source.ranges.length).toBeLessThan(10);
  expect(world.condition('Forecastable')).toMatchObject({ message: expect.stringContaining('too many samples') });
  world.edit('web', { history: { window: '3h' } });
  await settle();
  expect(world.source.ranges.at(-1)).toMatchObject({ fromSeconds: startSeconds + 40 * 60 - 3 * 3600 });
});

describe('when the source fails', () => {
  const away = (): never => {
    throw new HeadstartError('Unavailable', 'no connection to http://prometheus', { cause: new Error('ECONNREFUSED') });
  };

  test('the last observation stays, and the forecast goes on for five minutes, then stands', async () => {
    const { source, condition, status, pass } = await startedWorld();
    const { observed } = status();
    source.demand = away;
    await pass(3);
    expect(condition('Observed')).toMatchObject({
      reason: 'SourceUnavailable',
      message: 'server "default": no connection to http://prometheus: ECONNREFUSED',
    });
    expect(status().observed).toEqual(observed);
    const issuedAfterThree = status().forecast?.issuedAt ?? '';
    expect(issuedAfterThree > '2027-01-15T08:02:00Z').toBe(true);
    await pass(10);
    expect(status().observed).toEqual(observed);
    const issuedAfterThirteen = status().forecast?.issuedAt ?? '';
    expect(issuedAfterThirteen < '2027-01-15T08:06:00Z').toBe(true);
    expect(condition('Forecastable')).toMatchObject({ status: 'True' });
  });

  test('once it is back, only the gap is read, and the model is the same', async () => {
    const { source, condition, status, pass } = await startedWorld();
    const { model } = status();
    source.demand = away;
    await pass(20);
    expect(condition('Publishing')).toMatchObject({ reason: 'Nothing' });
    source.demand = wave;
    await pass();
    expect(source.ranges.at(-1)).toMatchObject({ fromSeconds: startSeconds - 300 });
    expect(condition('Observed')).toMatchObject({ status: 'True' });
    expect(condition('Publishing')).toMatchObject({ reason: 'Forecast' });
    expect(status().model?.since).toBe(model?.since);
  });

  test('status is not written again while nothing changes', async () => {
    const { source, patches, pass } = await startedWorld();
    source.demand = away;
    await pass(20);
    const before = patches();
    await pass(5);
    expect(patches()).toBe(before);
  });

  test('another time zone waits for its history, and the old one goes on until then', async () => {
    const { source, status, edit, pass } = await startedWorld();
    source.demand = away;
    edit('web', { timeZone: 'Europe/Berlin' });
    await pass(2);
    expect(status().forecast?.issuedAt.startsWith('2027-01-15T08:01')).toBe(true);
    source.demand = wave;
    await pass();
    expect(source.ranges.at(-1)).toMatchObject({ fromSeconds: startSeconds + 120 - windowSeconds });
    expect(status().forecast?.issuedAt.startsWith('2027-01-15T08:02')).toBe(true);
  });

  test('a forecaster that starts meanwhile keeps what an earlier one wrote', async () => {
    const first = await startedWorld();
    const { status } = first;
    const written = status();
    await first.stop();
    const world = createWorld();
    open = world;
    world.source.demand = away;
    world.put(demandForecast({ status: written }));
    await world.run();
    expect(world.status().observed).toEqual(written.observed);
    expect(world.status().forecast).toEqual(written.forecast);
    expect(world.condition('Publishing')).toMatchObject({ reason: 'Forecast' });
  });

  test('but not when the spec has changed since', async () => {
    const first = await startedWorld();
    const written = first.status();
    await first.stop();
    const world = createWorld();
    open = world;
    world.source.demand = away;
    world.put(demandForecast({ metadata: { generation: 2 }, status: written }));
    await world.run();
    expect(world.status().observed).toBeUndefined();
    expect(world.status().forecast).toBeUndefined();
  });

  test('a query that hangs times out, and does not hold up the others', async () => {
    const world = createWorld();
    open = world;
    world.targets.add('other');
    world.source.hangs = (query) => query === 'slow';
    const scaleTargetRef = { apiVersion: 'apps/v1' as const, kind: 'Deployment' as const, name: 'other' };
    for (let index = 0; index < 31; index += 1) {
      const name = `slow-${index}`;
      world.put(demandForecast({ name, spec: { source: { prometheus: { query: 'slow', serverRef: 'default' } } } }));
    }
    world.put(demandForecast({ name: 'quick', spec: { scaleTargetRef } }));
    await world.run();
    expect(world.condition('Observed', 'quick')).toMatchObject({ status: 'True' });
    expect(world.condition('Observed', 'slow-0')).toBeUndefined();
    await world.clock.advance(40_000);
    expect(world.condition('Observed', 'slow-0')).toMatchObject({
      reason: 'SourceTimeout',
      message: 'server "default": not read within 40 s',
    });
  });
});

describe('the target and its pods', () => {
  test('a target that is not there is named, and demand is still observed', async () => {
    const world = createWorld();
    open = world;
    world.targets.clear();
    world.put(demandForecast({}));
    await world.run();
    expect(world.condition('TargetReady')).toMatchObject({ reason: 'TargetNotFound' });
    expect(world.condition('Observed')).toMatchObject({ status: 'True' });
    expect(world.condition('Publishing')).toMatchObject({ reason: 'ObservedOnly' });
    expect(world.status().lead).toMatchObject({ source: 'Default' });
    world.targets.add('web');
    await world.pass();
    expect(world.condition('Publishing')).toMatchObject({ reason: 'Forecast' });
  });

  test('its pods are listed by its selector, and not at all when the lead is given', async () => {
    const { client, edit, status } = await startedWorld();
    const lists = () => client.requests.filter(({ path }) => path === '/api/v1/namespaces/shop/pods');
    expect(lists().map(({ query }) => query)).toEqual([{ labelSelector: 'app=web,!x', limit: '500' }]);
    edit('web', { lead: '90s' });
    await settle();
    expect(lists()).toHaveLength(1);
    expect(status().lead).toMatchObject({ p50: '1m30s', p90: '1m30s', source: 'Spec' });
  });

  test('pods that cannot be listed are a problem to log; what was measured stays', async () => {
    const world = await startedWorld();
    world.podsError = new HeadstartError('Forbidden', 'listing pods');
    await world.pass();
    expect(world.problems).toMatchObject([{ namespace: 'shop', name: 'web', error: { code: 'Forbidden' } }]);
    expect(world.status().lead).toMatchObject({ source: 'Measured', samples: 6 });
  });

  test('when the older of two for a target goes, the newer gets it at once', async () => {
    const newer = demandForecast({ name: 'newer', metadata: { creationTimestamp: '2026-08-02T00:00:00Z' } });
    const { condition, remove } = await startedWorld(demandForecast({}), newer);
    expect(condition('TargetReady', 'newer')).toMatchObject({ reason: 'DuplicateTarget' });
    expect(condition('Publishing', 'newer')).toMatchObject({ reason: 'ObservedOnly' });
    remove('web');
    await settle();
    expect(condition('TargetReady', 'newer')).toMatchObject({ reason: 'TargetFound' });
    expect(condition('Publishing', 'newer')).toMatchObject({ reason: 'Forecast' });
  });
});

describe('fits that are made elsewhere', () => {
  async function begin() {
    const fits = createFits();
    open = createWorld(fits.options);
    open.put(demandForecast({}));
    await open.run();
    return { ...fits, world: open };
  }

  test('the first one is waited for, and is urgent', async () => {
    const { world, asked, told } = await begin();
    expect(asked.map(({ isUrgent }) => isUrgent)).toEqual([true]);
    expect(world.patches()).toBe(0);
    await asked[0]?.answer();
    expect(world.status().forecast?.values).toHaveLength(60);
    expect(told).toEqual([{ namespace: 'shop', name: 'web', outcome: 'Fitted', seconds: 0 }]);
  });

  test('later ones are not: the last fit goes on until they are there, and one is made at a time', async () => {
    const { world, asked, told } = await begin();
    await asked[0]?.answer();
    // A young history is fitted every hour.
    await world.pass(70);
    expect(asked.map(({ isUrgent }) => isUrgent)).toEqual([true, false]);
    expect(world.status().forecast?.issuedAt).toMatch(/^2027-01-15T09:(09|10):/);
    expect(world.condition('Forecastable')?.status).toBe('True');
    await asked[1]?.answer();
    expect(told).toHaveLength(2);
    await world.pass(59);
    expect(asked).toHaveLength(2);
  });

  test('one that fails is told of, and tried again in ten minutes; nothing is lost', async () => {
    const { world, asked, told } = await begin();
    await asked[0]?.answer();
    await world.pass(61);
    await asked[1]?.answer('its thread has died');
    expect(told.at(-1)).toMatchObject({ outcome: 'Failed', message: 'its thread has died' });
    await world.pass(8);
    expect(asked).toHaveLength(2);
    await world.pass(3);
    expect(asked).toHaveLength(3);
    expect(world.condition('Forecastable')?.status).toBe('True');
  });

  test('a first one that fails is the reason why there is no forecast', async () => {
    const { world, asked } = await begin();
    await asked[0]?.answer('no answer within 60 s');
    expect(world.condition('Forecastable')).toMatchObject({ reason: 'CannotFit', message: 'no answer within 60 s' });
    await world.pass(11);
    await asked[1]?.answer();
    expect(world.condition('Forecastable')?.status).toBe('True');
  });
});

describe('what is learnt', () => {
  let folder = '';
  let store: ReturnType<typeof openStateStore>;
  const told: string[] = [];
  const onProblem = ({ outcome, error }: StoreProblem): void => void told.push(`${outcome}: ${errorMessage(error)}`);

  function openStore(): void {
    store = openStateStore({ folder, version: '1', onProblem });
  }

  /** The store that is open then. */
  function shared(): NonNullable<Parameters<typeof createForecastController>[0]['keep']>['store'] {
    return {
      load: (key) => store.load(key),
      save: (key, kept) => store.save(key, kept),
      forget: (uid) => store.forget(uid),
      retain: (list) => store.retain(list),
    };
  }

  beforeEach(() => {
    told.length = 0;
    folder = mkdtempSync(join(tmpdir(), 'headstart-learnt-'));
    openStore();
  });
  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  /** A process that begins so long after the first one; its fits are counted, and made at once. */
  async function start(afterSeconds: number, ...given: DemandForecast[]) {
    const fits: string[] = [];
    const fit: NonNullable<Parameters<typeof createForecastController>[0]['fit']> = (input) => {
      fits.push('a fit');
      return Promise.resolve(fitTarget(input()));
    };
    const onState = (outcome: string): void => void told.push(outcome);
    const world = createWorld({ fit, keep: { store: shared(), onState, onProblem } });
    open = world;
    await world.clock.advance(afterSeconds * 1000);
    for (const forecast of given.length === 0 ? [demandForecast({})] : given) world.put(forecast);
    return { world, fits, begin: async () => await world.run() };
  }

  /** A first process that has ended; the states are those of the file. */
  async function before(...given: DemandForecast[]) {
    const first = await start(0, ...given);
    await first.begin();
    await first.world.pass(5);
    await first.world.stop();
    await first.world.keepAll();
    store.close();
    told.length = 0;
    openStore();
    return first.world;
  }

  test('is kept after the first fit, hourly, and at the end', async () => {
    const { world, begin } = await start(0);
    await begin();
    expect(told).toEqual(['saved']);
    await world.pass(59);
    expect(told).toEqual(['saved']);
    await world.pass(2);
    expect(told).toEqual(['saved', 'saved']);
    await world.stop();
    await world.keepAll();
    expect(told).toEqual(['saved', 'saved', 'saved']);
  });

  test('goes on in the next process: it publishes without a fit, and reads only the gap', async () => {
    const first = await before();
    const { world, fits, begin } = await start(900);
    await begin();
    expect(told[0]).toBe('restored');
    expect(world.status().forecast).toMatchObject({ issuedAt: '2027-01-15T08:15:00Z' });
    expect(world.status().model).toEqual(first.status().model);
    expect(world.condition('Publishing')).toMatchObject({ status: 'True', reason: 'Forecast' });
    // The last look was in the minute of 240 s; samples may come five minutes late.
    expect(world.source.ranges.map(({ fromSeconds }) => fromSeconds - startSeconds)).toEqual([-60]);
    await world.pass(3);
    expect(fits).toEqual([]);
  });

  test('goes on while the source does not answer', async () => {
    await before();
    const { world, fits, begin } = await start(420);
    world.source.demand = () => {
      throw new HeadstartError('Unavailable', 'no connection to http://prometheus');
    };
    await begin();
    expect(world.condition('Observed')).toMatchObject({ reason: 'SourceUnavailable' });
    expect(world.status().forecast).toMatchObject({ issuedAt: '2027-01-15T08:07:00Z' });
    expect(fits).toEqual([]);
  });

  test.each<[string, number, Partial<DemandForecastSpec>, string]>([
    ['for another query', 900, { source: { prometheus: { query: 'other', serverRef: 'default' } } }, 'another spec'],
    ['for another window', 900, { history: { window: '5h' } }, 'another spec'],
    ['two days ago', 172_800, {}, 'it is 47h55m old, at most 24h is of use'],
    ['in the time to come', -3600, {}, 'it is of the time to come, at most 24h is of use'],
  ])('%s is discarded with the reason, and learnt anew', async (_, afterSeconds, spec, why) => {
    await before();
    const { world, fits, begin } = await start(afterSeconds, demandForecast({ spec }));
    await begin();
    expect(told).toEqual([
      expect.stringMatching(/^discarded: the state that was kept of shop\/web is discarded: /),
      'saved',
    ]);
    expect(told[0]).toContain(why);
    expect(fits).toHaveLength(1);
    expect(world.condition('Publishing')).toMatchObject({ reason: 'Forecast' });
  });

  test('in another shape is discarded with the reason, and learnt anew', async () => {
    const { uid } = demandForecast({}).metadata;
    await before();
    const spec = keptSpec();
    store.save({ uid, name: 'shop/web', spec }, { state: { engine: {} }, savedAt: startSeconds });
    const { fits, begin } = await start(900);
    await begin();
    expect(told[0]).toMatch(/^discarded: the state that was kept of shop\/web is discarded: ./);
    expect(fits).toHaveLength(1);
  });

  test('that cannot be gone on from is discarded with the reason, and learnt anew', async () => {
    const { uid } = demandForecast({}).metadata;
    await before();
    const key = { uid, name: 'shop/web', spec: keptSpec() };
    const { state } = store.load(key) ?? {};
    const { learnt } = (state as { engine: { forecaster: { fit: { forecaster: { learnt: object } } } } }).engine
      .forecaster.fit.forecaster;
    Object.assign(learnt, { candidates: undefined });
    store.save(key, { state, savedAt: startSeconds + 300 });
    const { world, fits, begin } = await start(900);
    await begin();
    await world.pass();
    expect(told.slice(0, 2)).toEqual(['restored', expect.stringMatching(/^discarded: .* shop\/web is discarded: ./)]);
    expect(fits).toHaveLength(1);
    expect(world.condition('Publishing')).toMatchObject({ reason: 'Forecast' });
  });

  test('is forgotten with its forecast, also when that went while nobody looked', async () => {
    const other = demandForecast({ name: 'other', metadata: { uid: 'other-uid' } });
    const { world, begin } = await start(0, demandForecast({}), other);
    await begin();
    await world.pass(2);
    expect(told).toEqual(['saved', 'saved']);
    expect(uids()).toHaveLength(2);
    world.remove('other');
    expect(uids()).toEqual([demandForecast({}).metadata.uid]);
    await world.stop();
    const next = await start(60, other);
    await next.begin();
    expect(uids()).toEqual(['other-uid']);
  });

  test('is written for few in a second: the others wait for their next look', async () => {
    const many = Array.from({ length: 4 }, (_, index) => {
      return demandForecast({ name: `f${index}`, metadata: { uid: `uid-${index}` } });
    });
    const { world, begin } = await start(0, ...many);
    await begin();
    await settle();
    expect(told).toEqual(['saved']);
    await world.pass(4);
    expect(told).toHaveLength(4);
  });

  /** What the file has. */
  function rows(): { uid: string; spec: string }[] {
    store.close();
    const database = new DatabaseSync(join(folder, 'forecasts.sqlite'));
    const all = database.prepare('SELECT uid, spec FROM states ORDER BY uid').all();
    database.close();
    openStore();
    return all as { uid: string; spec: string }[];
  }

  function uids(): string[] {
    return rows().map(({ uid }) => uid);
  }

  function keptSpec(): string {
    return rows()[0]?.spec ?? '';
  }
});

describe('the course of looks', () => {
  test('one look an interval: a status that changes is no reason for another', async () => {
    const { source, patches, pass } = await startedWorld();
    await pass(5);
    expect(source.latests).toHaveLength(6);
    expect(patches('headstart')).toBe(6);
  });

  test('what explains the forecast is written when it says something new, and every ten minutes', async () => {
    const { patches, pass, status, source } = await startedWorld();
    expect(patches('headstart-conditions')).toBe(1);
    await pass(9);
    expect(patches('headstart')).toBe(10);
    // A history of whole hours and one of hours and minutes read differently.
    expect(patches('headstart-conditions')).toBeLessThanOrEqual(2);
    await pass(21);
    expect(patches('headstart-conditions')).toBeLessThanOrEqual(5);
    expect(status().accuracy?.scores).toBeGreaterThan(10);
    const before = patches('headstart-conditions');
    source.demand = () => -1;
    await pass();
    expect(patches('headstart-conditions')).toBe(before + 1);
  });

  test('the patch of a loop has at most 2 KiB, with the longest numbers there are', async () => {
    const { client, pass, source } = await startedWorld();
    source.demand = () => 8_999_999_999_999;
    await pass(3);
    const sizes = client.requests
      .filter(({ query }) => query?.['fieldManager'] === 'headstart')
      .map(({ body }) => JSON.stringify(body).length);
    expect(Math.max(...sizes)).toBeGreaterThan(500);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2048);
  });

  test('a status that cannot be written is written later, and nothing is read anew', async () => {
    const world = await startedWorld();
    world.patchError = new HeadstartError('Unavailable', 'applying');
    await world.pass();
    world.patchError = undefined;
    await world.pass(2);
    expect(world.source.ranges.filter(({ fromSeconds }) => fromSeconds < startSeconds - 600)).toHaveLength(1);
    expect(world.status().observed?.time.startsWith('2027-01-15T08:02')).toBe(true);
  });

  test('what was learnt outlives a lost election', async () => {
    const world = createWorld();
    open = world;
    world.put(demandForecast({}));
    const term = new AbortController();
    await world.run(term.signal);
    term.abort(new Error('lost'));
    await world.pass(3);
    expect(world.source.latests).toHaveLength(1);
    await world.run();
    expect(world.source.ranges.map(({ fromSeconds }) => fromSeconds - startSeconds)).toEqual([-windowSeconds, -300]);
  });

  test('a forecast of the same name that is made anew begins anew', async () => {
    const { source, remove, put } = await startedWorld();
    remove('web');
    put(demandForecast({ metadata: { uid: 'another' } }));
    await settle();
    expect(source.ranges.map(({ fromSeconds }) => fromSeconds - startSeconds)).toEqual([
      -windowSeconds,
      -windowSeconds,
    ]);
  });

  test('a forecast that goes while it is looked at is no failure', async () => {
    const world = createWorld();
    open = world;
    world.put(demandForecast({}));
    const { range } = world.source;
    world.source.range = async (request) => {
      world.remove('web');
      return await range(request);
    };
    await world.run();
    await world.pass(3);
    expect(world.source.latests).toHaveLength(1);
  });

  test('what changed is recorded as an Event about the forecast', async () => {
    const { source, events, pass } = await startedWorld();
    expect(events.map(({ reason }) => reason)).toEqual(['NoHPA']);
    source.demand = (timestamp) => (timestamp > startSeconds ? undefined : wave(timestamp));
    await pass(6);
    expect(events.slice(1)).toMatchObject([
      {
        type: 'Warning',
        reason: 'StaleData',
        action: 'Observed',
        regarding: { apiVersion: 'headstart.dev/v1alpha1', kind: 'DemandForecast', namespace: 'shop', name: 'web' },
      },
      { type: 'Warning', reason: 'OutageGuard', action: 'DemandTrusted' },
    ]);
  });

  test('each look is told, with what changed in it and how late it came', async () => {
    const { source, decisions, pass, clock } = await startedWorld();
    const told = () =>
      decisions.map(({ changes }) =>
        changes.map(({ type, status, reason, isWarning }) => [type, status, reason, isWarning]),
      );
    expect(decisions).toMatchObject([{ namespace: 'shop', name: 'web', delaySeconds: undefined }]);
    expect(told()[0]).toContainEqual(['Publishing', 'True', 'Forecast', false]);
    expect(decisions[0]?.changes).toHaveLength(decisions[0]?.conditions.length ?? 0);
    await pass(2);
    expect(told().slice(1)).toEqual([[], []]);
    expect(decisions.slice(1).map(({ delaySeconds }) => delaySeconds)).toEqual([0, 0]);
    source.demand = () => -1;
    await pass();
    expect(told().at(-1)).toContainEqual(['Observed', 'False', 'NegativeDemand', true]);
    const before = decisions.length;
    await clock.advance(intervalMs);
    expect(decisions).toHaveLength(before + 1);
  });

  test('a look that could not be written is not told', async () => {
    const world = createWorld();
    open = world;
    world.patchError = new HeadstartError('Unavailable', 'applying');
    world.put(demandForecast({}));
    await world.run();
    expect(world.decisions).toEqual([]);
  });
});
