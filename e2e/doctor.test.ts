// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checks } from '../src/doctor/finding.ts';
import type { Finding } from '../src/doctor/finding.ts';
import { run, waitUntil } from '../src/testing/process.ts';
import type { CommandResult } from '../src/testing/process.ts';
import { startPrometheus } from '../src/testing/prometheus.ts';
import { deployment, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const headstart = fileURLToPath(new URL('../bin/headstart.cjs', import.meta.url));
const apiService = 'v1beta1.external.metrics.k8s.io';
/** Doubles within three minutes, every half an hour. */
const waves = (seconds: number): number => {
  const since = seconds % 1800;
  return 140 * (1 + Math.min(1, since / 180, Math.max(0, (1500 - since) / 300)));
};
let stage: Stage;
let healthyApiService: string;

beforeAll(async () => {
  stage = await setStage({ demand: { web: waves }, historySeconds: 30 * 3600 });
  await stage.apply(deployment('web'));
  await stage.applyExample('web.yaml');
  await stage.reason('web', 'Publishing', 'Forecast');
  const seen = JSON.parse(await stage.controlPlane.kubectlOk(['get', 'apiservice', apiService, '-o', 'json'])) as {
    apiVersion: string;
    kind: string;
    spec: unknown;
  };
  const { apiVersion, kind, spec } = seen;
  healthyApiService = JSON.stringify({ apiVersion, kind, metadata: { name: apiService }, spec });
  await waitUntil('the HPA scales', async () => (await stage.hpa('web')).scalingActive === 'True', {
    timeoutMs: 60_000,
    intervalMs: 500,
  });
});
afterAll(() => stage?.stop());

interface Report extends CommandResult {
  readonly findings: readonly Finding[];
  readonly summary: Readonly<Record<string, number>>;
}

async function doctor(...args: readonly string[]): Promise<CommandResult> {
  const kubeconfig = ['--kubeconfig', stage.controlPlane.kubeconfigPath];
  return await run(process.execPath, [
    headstart,
    'doctor',
    ...(args.includes('--kubeconfig') ? [] : kubeconfig),
    ...args,
  ]);
}

async function report(...args: readonly string[]): Promise<Report> {
  const result = await doctor('--output', 'json', ...args);
  if (result.stdout === '') throw new Error(`doctor (code ${result.code}): ${result.stderr}`);
  const { findings, summary } = JSON.parse(result.stdout) as Pick<Report, 'findings' | 'summary'>;
  return { ...result, findings, summary };
}

function reasonsOf({ findings }: Report, check: string): string[] {
  return findings.filter((finding) => finding.check === check).map(({ reason }) => reason);
}

function find({ findings }: Report, reason: string): Finding {
  const found = findings.find((finding) => finding.reason === reason);
  if (found === undefined) throw new Error(`no finding ${reason} in ${JSON.stringify(findings, undefined, 1)}`);
  return found;
}

function errorsOf({ findings }: Report): Finding[] {
  return findings.filter(({ status }) => status === 'error');
}

async function patch(kind: string, name: string, body: unknown, ...args: readonly string[]): Promise<void> {
  await stage.controlPlane.kubectlOk(['patch', kind, name, '--type=merge', '-p', JSON.stringify(body), ...args]);
}

/** The APIService as it was before the stories, caBundle included. */
async function restoreApiService(): Promise<void> {
  const { kubectl, kubectlOk } = stage.controlPlane;
  const patched = await kubectl(['patch', 'apiservice', apiService, '--type=merge', '-p', healthyApiService]);
  if (patched.code !== 0) await kubectlOk(['create', '-f', '-'], healthyApiService);
  await kubectlOk(['wait', '--for=condition=Available', `apiservice/${apiService}`, '--timeout=90s']);
}

/** Objects of the installation as they were. */
async function restore(kind: string, name: string): Promise<void> {
  const object = stage.headstart.objects.find((item) => item.kind === kind && item.metadata.name === name);
  await stage.controlPlane.kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
}

test('a healthy installation: exit code 0, nothing wrong, and each check has looked', async () => {
  const healthy = await report();
  expect(healthy.findings.filter(({ status }) => status !== 'ok')).toEqual([]);
  expect(healthy.code).toBe(0);
  expect(new Set(healthy.findings.map(({ check }) => check))).toEqual(new Set(Object.keys(checks)));
  expect(find(healthy, 'BeyondTolerance').message).toMatch(/grew by up to \d+(\.\d+)? %/);

  const { code, stdout, stderr } = await doctor('--strict', '-n', 'default');
  expect(code).toBe(0);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^ok {7}api-service {5}APIService .* belongs to Service headstart-system\/headstart-metrics/);
  expect(stdout).toMatch(/\d+ ok, 0 warnings, 0 errors, 0 skipped\n$/);
  expect(stdout).not.toContain('\u001B');
});

test("another adapter's APIService is named, with whose it is and which HPAs use it", async () => {
  const service = { name: 'keda-operator-metrics-apiserver', namespace: 'keda' };
  await patch('apiservice', apiService, { spec: { service } });
  const broken = await report();
  await restoreApiService();
  expect(broken.code).toBe(1);
  const foreign = find(broken, 'Foreign');
  expect(foreign).toMatchObject({ check: 'api-service', status: 'error' });
  expect(foreign.message).toContain('keda/keda-operator-metrics-apiserver, which looks like KEDA');
  expect(foreign.fix).toContain('stop that adapter from registering it');
  expect(reasonsOf(broken, 'metric')).toEqual(['Blocked']);
  await stage.controlPlane.kubectlOk([
    'wait',
    '--for=condition=Available',
    `apiservice/${apiService}`,
    '--timeout=90s',
  ]);
});

test('a missing APIService is named', async () => {
  await stage.controlPlane.kubectlOk(['delete', 'apiservice', apiService]);
  const broken = await report();
  await restoreApiService();
  expect(broken.code).toBe(1);
  expect(reasonsOf(broken, 'api-service')).toEqual(['Missing']);
  expect(reasonsOf(broken, 'aggregation')).toEqual(['Unreachable']);
});

test('a caBundle of another authority is named', async () => {
  const caBundle = Buffer.from(stage.controlPlane.caPem).toString('base64');
  // Headstart repairs it by itself within a minute, at times within a moment.
  const broken = await waitUntil(
    'the caBundle is found wrong',
    async () => {
      await patch('apiservice', apiService, { spec: { caBundle } });
      const seen = await report();
      return reasonsOf(seen, 'api-service').includes('CaBundleMismatch') && seen;
    },
    { timeoutMs: 60_000 },
  );
  await restoreApiService();
  expect(broken.code).toBe(1);
});

test('rights that are missing are named one by one', async () => {
  await stage.controlPlane.kubectlOk(['delete', 'clusterrolebinding', 'headstart-forecaster']);
  await stage.controlPlane.kubectlOk(['delete', 'rolebinding', 'headstart-metrics', '-n', 'kube-system']);
  const broken = await report();
  await restore('ClusterRoleBinding', 'headstart-forecaster');
  for (const object of stage.headstart.objects.filter(({ kind }) => kind === 'RoleBinding')) {
    await stage.controlPlane.kubectlOk(['apply', '-f', '-'], JSON.stringify(object));
  }
  expect(broken.code).toBe(1);
  const denied = broken.findings.filter(({ reason }) => reason === 'Denied');
  expect(denied.map(({ object }) => object?.name)).toEqual(['headstart-metrics', 'headstart-forecaster']);
  expect(denied[0]?.message).toContain('configmaps extension-apiserver-authentication in namespace kube-system');
  expect(denied[1]?.message).toContain('patch demandforecasts.headstart.dev/status');
  expect(denied[1]?.message).toContain('list pods');
});

const external = (target: unknown, selector: unknown = { matchLabels: { forecast: 'web' } }) => ({
  type: 'External',
  external: { metric: { name: 'predicted_demand', selector }, target },
});
const average = { type: 'AverageValue', averageValue: '35' };

test.each([
  {
    name: 'target type Value is a warning, and with --strict the exit code says so',
    change: { metrics: [external({ type: 'Value', value: '35' })] },
    reason: 'TargetTypeValue',
    status: 'warning',
  },
  {
    name: 'no selector is refused',
    change: { metrics: [external(average, null)] },
    reason: 'AmbiguousSelector',
    status: 'error',
  },
  {
    name: 'a selector that names no forecast',
    change: { metrics: [external(average, { matchLabels: { forecast: 'wbe' } })] },
    reason: 'UnknownForecast',
    status: 'error',
  },
  {
    name: 'another target than the forecast has',
    change: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'other' } },
    reason: 'WrongTarget',
    status: 'warning',
  },
  {
    name: 'a tolerance that swallows what the forecast gains',
    change: { behavior: { scaleUp: { tolerance: '30' } } },
    reason: 'WithinTolerance',
    status: 'warning',
  },
  {
    name: 'a metric of metrics.k8s.io without metrics-server',
    change: {
      metrics: [
        external(average),
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } },
      ],
    },
    reason: 'Missing',
    status: 'error',
  },
])('an HPA with $name', async ({ change, reason, status }) => {
  const before = await stage.controlPlane.kubectlOk(['get', 'hpa', 'web', '-o', 'json']);
  const { spec, metadata } = JSON.parse(before) as { spec: unknown; metadata: { name: string } };
  await patch('hpa', 'web', { spec: change });
  const broken = await report('--strict');
  const { name } = metadata;
  await stage.controlPlane.kubectlOk(['delete', 'hpa', 'web']);
  await stage.apply({ apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name }, spec });
  expect(broken.code).toBe(1);
  expect(find(broken, reason).status).toBe(status);
});

test('two HPAs on a target, and none', async () => {
  const spec = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 3 };
  const second = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'second' }, spec };
  await stage.apply(second);
  const several = await report();
  await stage.controlPlane.kubectlOk(['delete', 'hpa', 'second']);
  expect(several.code).toBe(1);
  expect(find(several, 'SeveralHPAs').message).toContain('second, web');

  await stage.controlPlane.kubectlOk(['delete', 'hpa', 'web']);
  const none = await report();
  await stage.applyExample('web.yaml');
  expect(errorsOf(none)).toEqual([]);
  expect(find(none, 'NoHPA').status).toBe('warning');
});

function* counter(hours: number): Generator<string> {
  yield '# TYPE http_requests counter\n';
  const end = Math.floor(Date.now() / 60_000) * 60;
  for (let time = end - hours * 3600; time <= end; time += 15) {
    yield `http_requests_total{app="web"} ${(time - end + 1e6) * 100} ${time}\n`;
  }
}

test.each([
  { hours: 1, reason: 'TooShort', errors: 1 },
  { hours: 5, reason: 'NoDay', errors: 0 },
])('a Prometheus with $hours h of history: $reason', async ({ hours, reason, errors }) => {
  const prometheus = await startPrometheus({ backfill: counter(hours) });
  const broken = await report('--prometheus-servers', `default=${prometheus.url}`);
  await prometheus.stop();
  expect(errorsOf(broken)).toHaveLength(errors);
  expect(reasonsOf(broken, 'history')).toEqual([reason]);
});

test('a Prometheus without the metric, without the server, and out of reach', async () => {
  const prometheus = await startPrometheus();
  const empty = await report('--prometheus-servers', `default=${prometheus.url}`);
  const unknown = await report('--prometheus-servers', `other=${prometheus.url}`);
  await prometheus.stop();
  const gone = await report('--prometheus-servers', `default=${prometheus.url}`);
  expect([empty, unknown, gone].map((item) => [item.code, reasonsOf(item, 'history')])).toEqual([
    [1, ['Empty']],
    [1, ['UnknownServer']],
    [1, ['Unreachable']],
  ]);

  const config = { data: { HEADSTART_PROMETHEUS_SERVERS: 'default=http://prometheus.nowhere.svc:9090' } };
  await patch('configmap', 'headstart-forecaster', config, '-n', 'headstart-system');
  const inside = await report();
  await restore('ConfigMap', 'headstart-forecaster');
  expect(inside.code).toBe(0);
  const skipped = find(inside, 'OutOfReach');
  expect(skipped.message).toMatch(/the forecaster says: have .*, need 2h/);
  expect(skipped.fix).toContain('kubectl -n nowhere port-forward service/prometheus 19090:9090');
});

test('a user who may read little learns what was not looked at', async () => {
  await stage.controlPlane.kubectlOk(['create', 'serviceaccount', 'reader']);
  const args = ['create', 'rolebinding', 'reader', '--clusterrole=view', '--serviceaccount=default:reader'];
  await stage.controlPlane.kubectlOk(args);
  const kubeconfig = await stage.controlPlane.kubeconfigForServiceAccount('default', 'reader');
  const little = await report('--kubeconfig', kubeconfig, '-n', 'default');
  expect(little.code).toBe(0);
  expect(reasonsOf(little, 'api-service')).toEqual(['NotAllowed']);
  expect(reasonsOf(little, 'access')).toEqual(['NotAllowed']);
  expect(reasonsOf(little, 'history')).toEqual(['NoConfiguration']);
  expect(reasonsOf(little, 'forecast')).toEqual(['Healthy']);
  expect(little.summary['skipped']).toBeGreaterThan(4);
});

test('an apiserver that does not answer is exit code 3, wrong credentials too, a wrong argument 2', async () => {
  const config = JSON.parse(await readFile(stage.controlPlane.kubeconfigPath, 'utf8')) as {
    clusters: { cluster: { server: string } }[];
    users: { user: Record<string, string> }[];
  };
  const [{ cluster } = { cluster: { server: '' } }] = config.clusters;
  const path = `${stage.controlPlane.dir}/broken.kubeconfig`;
  const write = async (): Promise<void> => await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  const { server } = cluster;
  cluster.server = 'https://127.0.0.1:1';
  await write();
  const away = await doctor('--kubeconfig', path, '--timeout', '2s');
  expect([away.code, away.stdout]).toEqual([3, '']);
  expect(away.stderr).toMatch(/^headstart doctor: reading \/version: .*ECONNREFUSED/);

  cluster.server = server;
  config.users = config.users.map((user) => ({ ...user, user: { token: 'wrong' } }));
  await write();
  const stranger = await doctor('--kubeconfig', path);
  expect([stranger.code, stranger.stdout]).toEqual([3, '']);
  expect(stranger.stderr).toContain('HTTP 401');

  const wrong = await doctor('--kubeconfig', path, '--context', 'other');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('context: got "other", want one of headstart');
  expect((await doctor('--timeout', 'soon')).code).toBe(2);
});

test('a ClonePool says what is wrong, an HPA that follows observed demand is named, and none is left behind', async () => {
  const pool = (name: string, target: string, more: object) => ({
    apiVersion: 'headstart.dev/v1alpha1',
    kind: 'ClonePool',
    metadata: { name },
    spec: { targetRef: { name: target }, maxReplicas: 3, lifetime: { maxSeconds: 600 }, ...more },
  });
  await stage.apply(pool('lost', 'nobody', { mode: 'Scale' }));
  await stage.apply(pool('web', 'web', { forecastRef: { name: 'web' }, maxBurstSeconds: 60 }));
  const broken = await waitUntil(
    'both pools are judged',
    async () => {
      const seen = await report();
      const reasons = reasonsOf(seen, 'clone-pool');
      return reasons.includes('TargetResolved') && reasons.includes('ReadsObserved') && seen;
    },
    { timeoutMs: 60_000, intervalMs: 2000 },
  );
  await stage.controlPlane.kubectlOk(['delete', 'clp', 'lost', 'web']);
  expect(broken.code).toBe(1);
  expect(find(broken, 'TargetResolved').message).toContain('TargetNotFound: no Deployment nobody in namespace default');
  expect(find(broken, 'ReadsObserved').message).toContain('HPA web also reads observed_demand');
  const pods = await stage.controlPlane.kubectlOk(['get', 'pods', '-A', '-o', 'name']);
  expect(pods).not.toContain('headstart-doctor');
});

test('a policy that nothing binds, a webhook that nobody answers, a clones role that is gone', async () => {
  const guard = 'headstart-clone-guard';
  await stage.controlPlane.kubectlOk(['delete', 'validatingadmissionpolicybinding', guard]);
  const unbound = await report();
  await restore('ValidatingAdmissionPolicyBinding', guard);
  expect(find(unbound, 'NotBound')).toMatchObject({ check: 'clone-guard', status: 'error' });

  for (const { process } of stage.headstart.replicas('headstart-clones')) process.kill('SIGKILL');
  const silent = await waitUntil(
    'the webhook does not answer, the policy refuses, and the Lease is over',
    async () => {
      const seen = await report();
      return (
        reasonsOf(seen, 'clone-webhook').includes('NoAnswer') && reasonsOf(seen, 'leader').includes('Expired') && seen
      );
    },
    { timeoutMs: 90_000, intervalMs: 2000 },
  );
  expect(find(silent, 'NoAnswer')).toMatchObject({ check: 'clone-webhook', status: 'warning' });
  expect(find(silent, 'NoAnswer').message).toContain('and the policy refused it');
  expect(find(silent, 'Expired').message).toContain('nobody makes clones, nor ends them');
});

test('Deployments without ready pods, a forecaster that is gone, clocks that differ, an API that does not answer', async () => {
  const { kubectlOk } = stage.controlPlane;
  const inSystem = ['-n', 'headstart-system'];
  await kubectlOk(['scale', 'deployment', 'headstart-forecaster', '--replicas=0', ...inSystem]);
  for (const { process } of stage.headstart.replicas('headstart-forecaster')) process.kill('SIGKILL');
  await waitUntil('the forecasters are gone', () => stage.headstart.replicas('headstart-forecaster').length === 0, {
    timeoutMs: 10_000,
  });
  const ahead = new Date(Date.now() + 60_000).toISOString();
  await patch('lease', 'headstart-forecaster', { spec: { renewTime: ahead.replace('Z', '000Z') } }, ...inSystem);
  const observed = { value: '140', time: ahead.replace(/\.\d+Z/, 'Z') };
  await patch('demandforecast', 'web', { status: { observed } }, '--subresource=status');
  const clocks = await report();
  expect(clocks.code).toBe(1);
  expect(find(clocks, 'ForecasterClockOff').message).toMatch(/is (59|60|6\d)\.\d s ahead of the apiserver's/);
  expect(find(clocks, 'ObservedInFuture').status).toBe('warning');
  expect(find(clocks, 'NoneReady').object?.name).toBe('headstart-forecaster');

  await waitUntil('the Lease expires', async () => reasonsOf(await report(), 'leader').includes('Expired'), {
    timeoutMs: 90_000,
    intervalMs: 2000,
  });
  await patch('demandforecast', 'web', { spec: { staleAfter: '30s' } });
  for (const { process } of stage.headstart.replicas('headstart-metrics')) process.kill('SIGKILL');
  const reachable = async (): Promise<boolean> =>
    reasonsOf(await report('--timeout', '2s'), 'aggregation').includes('Unreachable');
  await waitUntil('the API is unreachable', reachable, { timeoutMs: 120_000, intervalMs: 2000 });
  const unavailable = async (): Promise<boolean> =>
    reasonsOf(await report('--timeout', '2s'), 'api-service').includes('Unavailable');
  await waitUntil('the APIService is unavailable', unavailable, { timeoutMs: 120_000, intervalMs: 2000 });
});
