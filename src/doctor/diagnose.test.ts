// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import type { ClonePoolConditionType, ClonePoolReason, ConditionType, Reason } from '../api/reasons.ts';
import type { ClonePool, ClonePoolStatus } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast, DemandForecastStatus } from '../api/v1alpha1/demand-forecast.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { clonePool, condition, demandForecast } from '../testing/builders.ts';
import { diagnose } from './diagnose.ts';
import { checks } from './finding.ts';
import type { Failure, Finding } from './finding.ts';
import type { HistorySummary } from './history-summary.ts';
import { headstartRights, hpaRights } from './rights.ts';
import type {
  ApiService,
  CertificateFacts,
  HistoryReading,
  Hpa,
  Lease,
  Snapshot,
  WebhookConfiguration,
} from './snapshot.ts';

const now = 1_790_000_000;
const at = (seconds: number): string => formatRfc3339(now + seconds);
const day = 86_400;
const failure = (code: Failure['code'], message = 'reading it'): { failure: Failure } => ({
  failure: { code, message },
});

const status: DemandForecastStatus = {
  observedGeneration: 1,
  observed: { value: '500', time: at(-20) },
  forecast: {
    issuedAt: at(-30),
    startTime: at(-30),
    stepSeconds: 60,
    quantile: '0.7',
    atLead: '600',
    values: ['520', '700'],
  },
  hpa: { name: 'web', targetAverageValue: '35', utilization: '0.7' },
  history: { have: '14d', need: '2h' },
  conditions: [condition('Observed', 'True', 'DemandObserved'), condition('Publishing', 'True', 'Forecast')],
};
const forecast = (changes: Parameters<typeof demandForecast>[0] = {}): DemandForecast =>
  demandForecast({ status, ...changes });

const external = (
  name: string,
  target: object = { type: 'AverageValue', averageValue: '35' },
  selector: object | undefined = { matchLabels: { forecast: 'web' } },
) => ({ type: 'External', external: { metric: { name, ...(selector === undefined ? {} : { selector }) }, target } });
type Metric = NonNullable<Hpa['spec']['metrics']>[number];
const hpa = (
  metrics: readonly object[] = [external('predicted_demand')],
  changes: Partial<Hpa['spec']> = {},
  name = 'web',
): Hpa => ({
  metadata: { name, namespace: 'shop' },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 2,
    metrics: metrics as readonly Metric[],
    ...changes,
  },
});

const available = { type: 'Available', status: 'True', reason: 'Passed' };
const apiService = (changes: object = {}, conditions: object[] = [available]): ApiService =>
  ({
    metadata: { name: 'v1beta1.external.metrics.k8s.io' },
    spec: { service: { name: 'headstart-metrics', namespace: 'headstart-system' }, caBundle: 'Y2E=', ...changes },
    status: { conditions },
  }) as ApiService;
const certificate = (changes: Partial<CertificateFacts> = {}): Snapshot['certificate'] => ({
  value: { isTrusted: true, endSeconds: now + 60 * day, ...changes },
});
const lease = (changes: Lease['spec'] = {}, writtenAgo = 2): Lease => ({
  metadata: { managedFields: [{ time: at(-writtenAgo) }] },
  spec: { holderIdentity: 'pod-1', leaseDurationSeconds: 15, renewTime: at(-2), ...changes },
});
const summary = (changes: Partial<HistorySummary> = {}): HistoryReading => ({
  kind: 'read',
  server: 'default',
  summary: {
    windowSeconds: 14 * day,
    first: now - 14 * day,
    last: now - 10,
    spanSeconds: 14 * day,
    presentShare: 1,
    longestGap: undefined,
    changeSeconds: 15,
    growth: { share: 0.8, atSeconds: now - day },
    leadSeconds: 90,
    ...changes,
  },
});
const history = (reading: HistoryReading): Partial<Snapshot> => ({ histories: new Map([['shop/web', reading]]) });
const failedHistory = (code: Failure['code'], changes: object = {}): Partial<Snapshot> =>
  history({
    kind: 'failed',
    server: 'default',
    url: 'http://prometheus.monitoring.svc:9090',
    isNamed: false,
    failure: { code, message: 'no connection' },
    ...changes,
  });
const rights = [...headstartRights('headstart-system', true), ...hpaRights(['shop'])];
const ready = { value: { spec: { replicas: 2 }, status: { readyReplicas: 2 } } };

const webhook = (caBundle = 'Y2E=', service = 'headstart-clones', annotations = {}): Snapshot['webhook'] => {
  const clientConfig = { caBundle, service: { name: service, namespace: 'headstart-system' } };
  const value: WebhookConfiguration = {
    metadata: { name: 'headstart-clone-defaults', annotations },
    webhooks: [{ clientConfig }],
  };
  return { value };
};
const pool = (
  spec: Partial<ClonePool['spec']> = {},
  poolStatus: Partial<ClonePoolStatus> = {},
  creationTimestamp = at(-3600),
): ClonePool => {
  const targetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'burst' } as const;
  return clonePool({
    name: 'burst',
    metadata: { generation: 2, creationTimestamp },
    spec: { targetRef, ...spec },
    status: { observedGeneration: 1, replicas: 0, ...poolStatus },
  });
};

const healthy: Snapshot = {
  namespace: undefined,
  headstartNamespace: 'headstart-system',
  localClock: { value: { aheadSeconds: 0.2, uncertaintySeconds: 0.5 } },
  apiService: { value: apiService() },
  certificate: certificate(),
  metricsServer: { value: undefined },
  deployments: { 'headstart-metrics': ready, 'headstart-forecaster': ready, 'headstart-clones': ready },
  lease: { value: lease() },
  clonesLease: { value: lease() },
  webhook: webhook(),
  webhookCertificate: certificate(),
  stamped: { value: '3600' },
  guard: { value: { isThere: true, actions: ['Deny', 'Audit'] } },
  rights: { value: rights.map((right) => ({ right, isAllowed: true })) },
  roundTripMilliseconds: 5,
  discovery: { value: { answer: ['predicted_demand'], milliseconds: 9 } },
  forecasts: { value: [forecast()] },
  hpas: { value: [hpa()] },
  pools: { value: [pool()] },
  metrics: new Map([['shop/web', { value: { answer: '520', milliseconds: 9 } }]]),
  histories: new Map([['shop/web', summary()]]),
};

const seen = new Set<string>();
function look(changes: Partial<Snapshot>): Finding[] {
  const findings = diagnose({ ...healthy, ...changes }, now);
  for (const { check, reason } of findings) seen.add(`${check} ${reason}`);
  return findings;
}

test('a healthy cluster: every check looks, and all is well', () => {
  const findings = look({});
  expect(findings.filter(({ status: how }) => how !== 'ok')).toEqual([]);
  expect(new Set(findings.map(({ check }) => check))).toEqual(new Set(Object.keys(checks)));
});

interface Case {
  readonly name: string;
  readonly change: Partial<Snapshot>;
  readonly finds: string;
  readonly says?: RegExp;
  readonly fix?: RegExp;
}

function tell(cases: readonly Case[]): void {
  test.each(cases)('$name', ({ change, finds, says = /./, fix = /^/ }) => {
    const findings = look(change);
    const found = findings.filter(({ check, reason }) => `${check} ${reason}` === finds);
    expect(findings.map(({ check, reason }) => `${check} ${reason}`)).toContain(finds);
    expect(found.map(({ message }) => message).join('\n')).toMatch(says);
    expect(found[0]?.fix ?? '').toMatch(fix);
  });
}

describe('APIService', () => {
  const others = [hpa([external('queue_length')], {}, 'worker')];
  const foreign = (name: string) => ({ value: apiService({ service: { name, namespace: 'other' } }) });
  const unavailable = (reason: string) => ({
    value: apiService({}, [{ type: 'Available', status: 'False', reason, message: 'dial tcp: timeout' }]),
  });
  tell([
    {
      name: 'there is none',
      change: { apiService: { value: undefined } },
      finds: 'api-service Missing',
      fix: /kubectl apply/,
    },
    {
      name: 'it is of an adapter that is known, and HPAs need that one',
      change: { apiService: foreign('datadog-cluster-agent-metrics-api'), hpas: { value: others } },
      finds: 'api-service Foreign',
      says: /belongs to Service other\/datadog-cluster-agent-metrics-api, which looks like Datadog/,
      fix: /would lose them: shop\/worker \(queue_length\)/,
    },
    {
      name: 'it is of an adapter that is not known, and nobody needs it',
      change: { apiService: foreign('adapter') },
      finds: 'api-service Foreign',
      says: /belongs to Service other\/adapter: HPAs/,
      fix: /No HPA that was looked at reads any other/,
    },
    {
      name: 'it cannot be reached',
      change: { apiService: unavailable('FailedDiscoveryCheck') },
      finds: 'api-service Unavailable',
      says: /FailedDiscoveryCheck: dial tcp: timeout/,
      fix: /firewall/,
    },
    {
      name: 'the apiserver has not looked yet',
      change: { apiService: { value: apiService({}, []) } },
      finds: 'api-service Unavailable',
      fix: /kubectl get apiservice/,
    },
    {
      name: 'no caBundle',
      change: { apiService: { value: apiService({ caBundle: null }) } },
      finds: 'api-service CaBundleMissing',
    },
    {
      name: 'a caBundle of another authority',
      change: { certificate: certificate({ isTrusted: false }) },
      finds: 'api-service CaBundleMismatch',
    },
    {
      name: 'nothing is verified',
      change: { apiService: { value: apiService({ insecureSkipTLSVerify: true }) } },
      finds: 'api-service Insecure',
    },
    {
      name: 'a certificate that is not renewed',
      change: { certificate: certificate({ endSeconds: now + 5 * day }) },
      finds: 'api-service CertificateEnding',
      says: /ends in 5d/,
    },
    {
      name: 'a certificate that has ended',
      change: { certificate: certificate({ endSeconds: now - day }) },
      finds: 'api-service CertificateEnding',
      says: /has ended/,
    },
    {
      name: 'a certificate of others is not in the Secret',
      change: { certificate: { value: undefined } },
      finds: 'api-service CertificateNotChecked',
      says: /the Secret holds no certificate/,
    },
    {
      name: 'the Secret may not be read',
      change: { certificate: failure('Forbidden') },
      finds: 'api-service CertificateNotChecked',
      says: /reading it/,
    },
    { name: 'it may not be read', change: { apiService: failure('Forbidden') }, finds: 'api-service NotAllowed' },
    { name: 'reading fails', change: { apiService: failure('Unavailable') }, finds: 'api-service NotRead' },
  ]);
});

describe('installation, leader and rights', () => {
  const deployments = (readyReplicas: number) => ({
    deployments: { 'headstart-metrics': { value: { spec: { replicas: 2 }, status: { readyReplicas } } } },
  });
  tell([
    {
      name: 'the kind ClonePool is missing',
      change: { pools: { value: undefined } },
      finds: 'installation NotInstalled',
      says: /knows no ClonePools/,
    },
    { name: 'no Lease for clones', change: { clonesLease: { value: undefined } }, finds: 'leader Missing' },
    {
      name: 'nobody makes clones, nor ends them',
      change: { clonesLease: { value: lease({}, 60) } },
      finds: 'leader Expired',
      says: /Lease headstart-clones 1m ago, and it held for 15s: nobody makes clones, nor ends them/,
      fix: /logs deployment\/headstart-clones/,
    },
    { name: 'the kind is missing', change: { forecasts: { value: undefined } }, finds: 'installation NotInstalled' },
    {
      name: 'a Deployment is missing',
      change: { deployments: { 'headstart-metrics': { value: undefined } } },
      finds: 'installation NotInstalled',
      fix: /--headstart-namespace/,
    },
    { name: 'some pods are ready', change: deployments(1), finds: 'installation NotAllReady', says: /1 of 2/ },
    { name: 'no pod is ready', change: deployments(0), finds: 'installation NoneReady', fix: /describe deployment/ },
    {
      name: 'Deployments may not be read',
      change: { deployments: { 'headstart-metrics': failure('Forbidden') } },
      finds: 'installation NotAllowed',
    },
    { name: 'reading DemandForecasts fails', change: { forecasts: failure('Timeout') }, finds: 'installation NotRead' },
    { name: 'no Lease', change: { lease: { value: undefined } }, finds: 'leader Missing' },
    { name: 'nobody ever led', change: { lease: { value: { metadata: {} } } }, finds: 'leader NeverHeld' },
    {
      name: 'the leader is gone, by the apiserver’s clock, whatever its own says',
      change: { lease: { value: lease({ renewTime: at(0) }, 60) } },
      finds: 'leader Expired',
      says: /pod-1 renewed Lease headstart-forecaster 1m ago, and it held for 15s: nobody forecasts/,
    },
    { name: 'the Lease may not be read', change: { lease: failure('Forbidden') }, finds: 'leader NotAllowed' },
    { name: 'reading the Lease fails', change: { lease: failure('BadResponse') }, finds: 'leader NotRead' },
    {
      name: 'a right of Headstart is missing',
      change: { rights: { value: rights.map((right) => ({ right, isAllowed: right.resource !== 'leases' })) } },
      finds: 'access Denied',
      says: /^headstart-forecaster may not: get leases.coordination.k8s.io headstart-forecaster in namespace headstart-system; update /,
      fix: /kubectl apply -k manifests\/base/,
    },
    {
      name: 'the HPA controller may not read the metric',
      change: {
        rights: { value: rights.map((right) => ({ right, isAllowed: right.resource !== 'predicted_demand' })) },
      },
      finds: 'access Denied',
      says: /^horizontal-pod-autoscaler may not: list predicted_demand.external.metrics.k8s.io in namespace shop$/,
      fix: /system:controller:horizontal-pod-autoscaler/,
    },
    { name: 'rights may not be asked for', change: { rights: failure('Forbidden') }, finds: 'access NotAllowed' },
    { name: 'asking for rights fails', change: { rights: failure('Unavailable') }, finds: 'access NotRead' },
  ]);
});

describe('aggregation and metrics', () => {
  const metric = (reading: NonNullable<ReturnType<Snapshot['metrics']['get']>>): Partial<Snapshot> => ({
    metrics: new Map([['shop/web', reading]]),
  });
  const { hpa: _, ...unread } = status;
  tell([
    {
      name: 'no answer',
      change: { discovery: failure('Unavailable', 'service unavailable'), metrics: new Map() },
      finds: 'aggregation Unreachable',
      says: /service unavailable/,
    },
    { name: 'may not be asked', change: { discovery: failure('Forbidden') }, finds: 'aggregation NotAllowed' },
    {
      name: 'somebody else answers',
      change: { discovery: { value: { answer: ['externalmetrics'], milliseconds: 5 } } },
      finds: 'aggregation WrongAnswer',
      says: /lists externalmetrics/,
    },
    {
      name: 'the answer is slow',
      change: { discovery: { value: { answer: ['predicted_demand'], milliseconds: 900 } } },
      finds: 'aggregation Slow',
      says: /900 ms, of which 895 ms/,
    },
    {
      name: 'the answer is no slower than the way to the apiserver',
      change: { roundTripMilliseconds: 800, discovery: { value: { answer: ['predicted_demand'], milliseconds: 900 } } },
      finds: 'aggregation Reachable',
    },
    { name: 'a slow metric', change: metric({ value: { answer: '5', milliseconds: 700 } }), finds: 'metric Slow' },
    {
      name: 'a metric that an HPA reads and that is not answered',
      change: metric(failure('NotFound', 'demand observed 10m ago')),
      finds: 'metric NotAnswered',
      says: /demand observed 10m ago; without it HPA web does not scale down/,
    },
    {
      name: 'a metric that no HPA reads and that has no value yet',
      change: { ...metric(failure('NotFound')), forecasts: { value: [forecast({ status: unread })] } },
      finds: 'metric NothingToAnswer',
    },
    { name: 'the metric may not be read', change: metric(failure('Forbidden')), finds: 'metric NotAllowed' },
    {
      name: 'the metric is of another adapter',
      change: { apiService: { value: apiService({ service: { name: 'x', namespace: 'y' } }) } },
      finds: 'metric Blocked',
    },
  ]);
});

describe('clocks', () => {
  tell([
    {
      name: 'this machine is ahead',
      change: { localClock: { value: { aheadSeconds: 61, uncertaintySeconds: 0.6 } } },
      finds: 'clock LocalClockOff',
      says: /61.0 s ahead of the apiserver's \(± 0.6 s\)/,
    },
    {
      name: 'the forecaster is behind',
      change: { lease: { value: lease({ renewTime: at(-42) }, 2) } },
      finds: 'clock ForecasterClockOff',
      says: /pod-1 is 40.5 s behind the apiserver's/,
    },
    {
      name: 'demand was observed in the future',
      change: { forecasts: { value: [forecast({ status: { ...status, observed: { value: '1', time: at(90) } } })] } },
      finds: 'clock ObservedInFuture',
      says: /90 s from now/,
    },
    { name: 'the apiserver is too old to tell', change: { localClock: failure('NotFound') }, finds: 'clock NotRead' },
    { name: 'who one is may not be asked', change: { localClock: failure('Forbidden') }, finds: 'clock NotAllowed' },
  ]);
});

describe('forecasts', () => {
  const failing = <T extends ConditionType>(type: T, reason: Reason<T>): Partial<Snapshot> => ({
    forecasts: { value: [forecast({ status: { ...status, conditions: [condition(type, 'False', reason)] } })] },
  });
  tell([
    { name: 'none', change: { forecasts: { value: [] } }, finds: 'forecast NoForecasts', says: /in the cluster/ },
    {
      name: 'none in the namespace',
      change: { forecasts: { value: [] }, namespace: 'shop' },
      finds: 'forecast NoForecasts',
      says: /in namespace shop/,
    },
    {
      name: 'a target that is not there',
      change: failing('TargetReady', 'TargetNotFound'),
      finds: 'forecast TargetReady',
    },
    {
      name: 'demand that cannot be read',
      change: failing('Observed', 'SeveralSeries'),
      finds: 'forecast Observed',
      says: /Observed of web: SeveralSeries: as it stood/,
    },
    { name: 'no model yet', change: failing('Forecastable', 'TooLittleHistory'), finds: 'forecast Forecastable' },
    {
      name: 'quantiles that are off',
      change: failing('Calibrated', 'CoverageOutOfBounds'),
      finds: 'forecast Calibrated',
    },
    { name: 'nothing is published', change: failing('Publishing', 'Nothing'), finds: 'forecast Publishing' },
    {
      name: 'nobody has looked at it',
      change: { forecasts: { value: [demandForecast({})] } },
      finds: 'forecast NotReconciled',
      says: /generation 1, seen 0/,
    },
    {
      name: 'nobody has looked at it yet, which may be',
      change: { forecasts: { value: [demandForecast({ metadata: { creationTimestamp: at(-10) } })] } },
      finds: 'forecast Healthy',
    },
    { name: 'may not be read', change: { forecasts: failure('Forbidden') }, finds: 'forecast NotAllowed' },
    { name: 'cannot be read', change: { forecasts: failure('Timeout') }, finds: 'forecast NotRead' },
  ]);
});

describe('HPAs', () => {
  const hpas = (...value: readonly Hpa[]): Partial<Snapshot> => ({ hpas: { value } });
  const inactive = { type: 'ScalingActive', status: 'False', reason: 'FailedGetExternalMetric', message: 'no metric' };
  const reads = (selector?: object) => [external('predicted_demand', undefined, selector)];
  tell([
    {
      name: 'target type Value',
      change: hpas(hpa([external('observed_demand', { type: 'Value', value: '35' })])),
      finds: 'hpa TargetTypeValue',
      says: /reads observed_demand with target type Value/,
      fix: /averageValue/,
    },
    { name: 'a selector for any forecast', change: hpas(hpa(reads({}))), finds: 'hpa AmbiguousSelector' },
    {
      name: 'a selector for a forecast that is not there',
      change: hpas(hpa(reads({ matchLabels: { forecast: 'wbe' } }))),
      finds: 'hpa UnknownForecast',
      says: /forecast "wbe".*\(there: web\)/,
    },
    {
      name: 'a selector with a label that no forecast has',
      change: hpas(hpa(reads({ matchLabels: { forecast: 'web', team: 'a' } }))),
      finds: 'hpa UnknownForecast',
    },
    {
      name: 'a forecast of another namespace',
      change: { forecasts: { value: [forecast({ metadata: { namespace: 'other' } })] } },
      finds: 'hpa UnknownForecast',
      says: /in namespace shop \(there: none\)/,
    },
    {
      name: 'two on a target',
      change: hpas(hpa(), hpa([], {}, 'second')),
      finds: 'hpa SeveralHPAs',
      says: /second, web/,
    },
    {
      name: 'another target',
      change: hpas(hpa(undefined, { scaleTargetRef: { kind: 'Deployment', name: 'other' } })),
      finds: 'hpa WrongTarget',
    },
    { name: 'none in Auto', change: hpas(), finds: 'hpa NoHPA' },
    {
      name: 'none in Preview',
      change: { ...hpas(), forecasts: { value: [forecast({ spec: { mode: 'Preview' } })] } },
      finds: 'hpa NoHPAYet',
    },
    {
      name: 'one that does not scale',
      change: hpas({ ...hpa(), status: { conditions: [inactive] } }),
      finds: 'hpa ScalingInactive',
      says: /FailedGetExternalMetric: no metric/,
    },
    { name: 'may not be read', change: { hpas: failure('Forbidden') }, finds: 'hpa NotAllowed' },
    { name: 'cannot be read', change: { hpas: failure('Timeout') }, finds: 'hpa NotRead' },
  ]);
  test('HPAs of others are left alone', () => {
    const findings = look(
      hpas(
        hpa(),
        hpa(
          [external('queue_length', { type: 'Value', value: '5' })],
          { scaleTargetRef: { kind: 'Deployment', name: 'x' } },
          'worker',
        ),
      ),
    );
    expect(findings.filter(({ status: how }) => how !== 'ok')).toEqual([]);
  });
});

describe('the webhook and the policy for clones', () => {
  const guard = (isThere: boolean, actions?: readonly string[]): Partial<Snapshot> => ({
    guard: { value: { isThere, actions } },
  });
  const ended = (endSeconds: number): Partial<Snapshot> => ({ webhookCertificate: certificate({ endSeconds }) });
  tell([
    {
      name: 'no webhook',
      change: { webhook: { value: undefined }, stamped: { value: undefined } },
      finds: 'clone-webhook Missing',
      fix: /kubectl apply/,
    },
    {
      name: 'it calls another Service',
      change: { webhook: webhook('Y2E=', 'other') },
      finds: 'clone-webhook Foreign',
      says: /calls headstart-system\/other, not headstart-system\/headstart-clones/,
    },
    {
      name: 'it calls nobody',
      change: { webhook: { value: { metadata: { name: 'x' } } } },
      finds: 'clone-webhook Foreign',
      says: /calls nobody/,
    },
    {
      name: 'no caBundle',
      change: { webhook: webhook('') },
      finds: 'clone-webhook CaBundleMissing',
      fix: /log of headstart-clones/,
    },
    {
      name: "no caBundle, which is cert-manager's to give",
      change: { webhook: webhook('', 'headstart-clones', { 'cert-manager.io/inject-ca-from': 'a/b' }) },
      finds: 'clone-webhook CaBundleMissing',
      fix: /ca-injector/,
    },
    {
      name: 'a caBundle of another authority',
      change: { webhookCertificate: certificate({ isTrusted: false }) },
      finds: 'clone-webhook CaBundleMismatch',
      says: /Secret headstart-clones-certificate: pods that others mark/,
    },
    { name: 'a certificate that ends', change: ended(now + 5 * day), finds: 'clone-webhook CertificateEnding' },
    {
      name: 'a certificate that has ended',
      change: ended(now - day),
      finds: 'clone-webhook CertificateEnding',
      says: /has ended/,
    },
    {
      name: 'the Secret may not be read',
      change: { webhookCertificate: failure('Forbidden') },
      finds: 'clone-webhook CertificateNotChecked',
    },
    {
      name: 'a certificate of others',
      change: { webhookCertificate: { value: undefined } },
      finds: 'clone-webhook CertificateNotChecked',
      says: /the Secret holds no certificate/,
    },
    {
      name: 'nobody answers, and the policy refuses',
      change: {
        stamped: failure('InvalidInput', 'denied: metadata.annotations[headstart.dev/ttl-seconds]: got "", want'),
      },
      finds: 'clone-webhook NoAnswer',
      says: /does not reach the webhook: .* and the policy refused it/,
      fix: /port 9443/,
    },
    {
      name: 'nobody answers, and no policy refuses',
      change: { stamped: { value: undefined }, ...guard(false) },
      finds: 'clone-webhook NoAnswer',
      says: /and nothing refused it either/,
    },
    {
      name: 'pods may not be made',
      change: { stamped: failure('Forbidden', 'pods is forbidden') },
      finds: 'clone-webhook NotAsked',
      says: /pods is forbidden/,
    },
    { name: 'it may not be read', change: { webhook: failure('Forbidden') }, finds: 'clone-webhook NotAllowed' },
    { name: 'reading it fails', change: { webhook: failure('Timeout') }, finds: 'clone-webhook NotRead' },
    { name: 'no policy', change: guard(false, ['Deny']), finds: 'clone-guard Missing', says: /without an end/ },
    { name: 'a policy that nothing binds', change: guard(true), finds: 'clone-guard NotBound' },
    { name: 'a policy that only warns', change: guard(true, ['Warn']), finds: 'clone-guard NotDenying', says: /Warn/ },
    { name: 'it may not be read', change: { guard: failure('Forbidden') }, finds: 'clone-guard NotAllowed' },
    { name: 'reading it fails', change: { guard: failure('Timeout') }, finds: 'clone-guard NotRead' },
  ]);
});

describe('ClonePools', () => {
  const pools = (...value: readonly ClonePool[]): Partial<Snapshot> => ({ pools: { value } });
  const says = <T extends ClonePoolConditionType>(
    type: T,
    how: 'True' | 'False' | 'Unknown',
    reason: ClonePoolReason<T>,
  ): Partial<Snapshot> => {
    const item = { type, status: how, reason, message: 'as it is', observedGeneration: 1, lastTransitionTime: at(-60) };
    return pools(pool({}, { conditions: [item] as NonNullable<ClonePoolStatus['conditions']> }));
  };
  const burst = (metrics: readonly object[]) =>
    hpa(metrics, { scaleTargetRef: { kind: 'Deployment', name: 'burst' } }, 'burst');
  tell([
    { name: 'none', change: pools(), finds: 'clone-pool NoPools', says: /in the cluster/ },
    {
      name: 'none in the namespace',
      change: { ...pools(), namespace: 'shop' },
      finds: 'clone-pool NoPools',
      says: /in namespace shop/,
    },
    {
      name: 'nobody has looked at it',
      change: pools(pool({}, { observedGeneration: 0 })),
      finds: 'clone-pool NotReconciled',
    },
    {
      name: 'nobody has looked at it yet, which may be',
      change: pools(pool({}, { observedGeneration: 0 }, at(-10))),
      finds: 'clone-pool Healthy',
    },
    {
      name: 'a target that cannot be cloned',
      change: says('TargetResolved', 'False', 'TargetNotCloneable'),
      finds: 'clone-pool TargetResolved',
      says: /TargetResolved of burst: TargetNotCloneable: as it is/,
    },
    {
      name: 'a target that is paused',
      change: says('TargetResolved', 'False', 'TargetPaused'),
      finds: 'clone-pool Healthy',
    },
    {
      name: 'a quota',
      change: says('CreationBlocked', 'True', 'QuotaExceeded'),
      finds: 'clone-pool CreationBlocked',
      fix: /raise the quota/,
    },
    {
      name: 'nothing that blocks',
      change: says('CreationBlocked', 'False', 'NotBlocked'),
      finds: 'clone-pool Healthy',
    },
    {
      name: 'an HPA that counts clones',
      change: says('HPASelectorOverlap', 'True', 'HPACountsClones'),
      finds: 'clone-pool HPASelectorOverlap',
    },
    {
      name: 'the same, accepted',
      change: says('HPASelectorOverlap', 'True', 'OverlapAccepted'),
      finds: 'clone-pool Healthy',
    },
    {
      name: 'clones that cannot be measured',
      change: says('MetricsAvailable', 'False', 'MetricsUnavailable'),
      finds: 'clone-pool MetricsAvailable',
    },
    {
      name: 'clones without metrics',
      change: says('ExitFrozen', 'True', 'MetricsMissing'),
      finds: 'clone-pool ExitFrozen',
    },
    { name: 'clones that are needed', change: says('ExitFrozen', 'True', 'PoolBusy'), finds: 'clone-pool Healthy' },
    {
      name: 'clones that a budget keeps',
      change: says('PDBBlocked', 'True', 'BudgetExhausted'),
      finds: 'clone-pool PDBBlocked',
    },
    { name: 'no forecast', change: says('Ready', 'False', 'NoForecast'), finds: 'clone-pool Ready' },
    { name: 'clones that start', change: says('Ready', 'False', 'ClonesStarting'), finds: 'clone-pool Healthy' },
    {
      name: 'an HPA that follows observed demand as well',
      change: { hpas: { value: [hpa(), burst([external('observed_demand'), external('predicted_demand')])] } },
      finds: 'clone-pool ReadsObserved',
      says: /HPA burst also reads observed_demand/,
      fix: /predicted_demand alone/,
    },
    {
      name: 'an HPA that follows predicted demand alone',
      change: { hpas: { value: [hpa(), burst([external('predicted_demand')])] } },
      finds: 'clone-pool Healthy',
    },
    { name: 'may not be read', change: { pools: failure('Forbidden') }, finds: 'clone-pool NotAllowed' },
    { name: 'cannot be read', change: { pools: failure('Timeout') }, finds: 'clone-pool NotRead' },
  ]);
});

describe('tolerance against the gain', () => {
  const growth = (share: number) => history(summary({ growth: { share, atSeconds: now } }));
  const curve = (...values: string[]): Partial<Snapshot> => {
    const { forecast: made } = status;
    const changed = made === undefined ? status : { ...status, forecast: { ...made, values } };
    return { ...failedHistory('Unavailable'), forecasts: { value: [forecast({ status: changed })] } };
  };
  const own = (tolerance: string): Partial<Snapshot> => ({
    hpas: { value: [hpa(undefined, { behavior: { scaleUp: { tolerance } } })] },
  });
  tell([
    {
      name: 'demand never grows beyond the cluster’s tolerance within the lead',
      change: growth(0.08),
      finds: 'tolerance WithinTolerance',
      says: /never grew by more than 8 % within the lead of 1m30s in the last 14d; HPA web acts above 10 %/,
      fix: /behavior\.scaleUp\.tolerance/,
    },
    {
      name: 'an own tolerance lets it through',
      change: { ...growth(0.08), ...own('50m') },
      finds: 'tolerance BeyondTolerance',
      says: /acts above 5 % \(its behavior/,
    },
    { name: 'an own tolerance swallows it', change: own('1'), finds: 'tolerance WithinTolerance', says: /100 %/ },
    {
      name: 'without the history the next hour counts: 540 of 500 is within 10 %',
      change: curve('510', '540'),
      finds: 'tolerance WithinTolerance',
      says: /at most 540, observed demand is 500 \(\+8 %\)/,
    },
    { name: 'and 600 of 500 is not', change: curve('510', '600'), finds: 'tolerance BeyondTolerance', says: /\+20 %/ },
    { name: 'without both nothing is known', change: curve(), finds: 'tolerance NotKnown' },
  ]);
});

describe('metrics-server', () => {
  const cpu = { type: 'Resource', resource: { name: 'cpu' } };
  const byCpu: Partial<Snapshot> = { hpas: { value: [hpa([external('predicted_demand'), cpu])] } };
  const service = (condition_: object): Snapshot['metricsServer'] => ({ value: apiService({}, [condition_]) });
  const resource = forecast();
  tell([
    {
      name: 'missing, and an HPA needs it',
      change: byCpu,
      finds: 'metrics-server Missing',
      says: /needed by HPA shop\/web/,
    },
    {
      name: 'missing, and a forecast needs it',
      change: {
        forecasts: {
          value: [
            {
              ...resource,
              spec: { ...resource.spec, source: { resource: { name: 'cpu' } } },
            },
          ],
        },
        ...history({ kind: 'other-source' }),
      },
      finds: 'metrics-server Missing',
      says: /needed by DemandForecast shop\/web/,
    },
    {
      name: 'not available, and an HPA needs it',
      change: {
        ...byCpu,
        metricsServer: service({ type: 'Available', status: 'False', reason: 'MissingEndpoints', message: 'none' }),
      },
      finds: 'metrics-server Unavailable',
      says: /MissingEndpoints: none/,
    },
    {
      name: 'missing, and a ClonePool measures by it',
      change: { pools: { value: [pool({ utilizationExit: { resource: 'cpu' } } as Partial<ClonePool['spec']>)] } },
      finds: 'metrics-server Missing',
      says: /needed by ClonePool shop\/burst: .* clones end by their deadline alone/,
    },
    {
      name: 'missing, and a ClonePool measures by a query',
      change: { pools: { value: [pool({ utilizationExit: { query: 'x' } } as Partial<ClonePool['spec']>)] } },
      finds: 'metrics-server NotNeeded',
    },
    { name: 'available', change: { metricsServer: service(available) }, finds: 'metrics-server Available' },
    { name: 'may not be read', change: { metricsServer: failure('Forbidden') }, finds: 'metrics-server NotAllowed' },
    { name: 'cannot be read', change: { metricsServer: failure('Timeout') }, finds: 'metrics-server NotRead' },
  ]);
});

describe('histories', () => {
  const span = (seconds: number) => history(summary({ spanSeconds: seconds, first: now - seconds }));
  tell([
    { name: 'nothing', change: history(summary({ first: undefined, last: undefined })), finds: 'history Empty' },
    { name: 'an hour', change: span(3600), finds: 'history TooShort', says: /1h of the 14d/ },
    { name: 'half a day', change: span(day / 2), finds: 'history NoDay', fix: /retention/ },
    { name: 'two days', change: span(2 * day), finds: 'history Enough', says: /2d of the 14d/ },
    {
      name: 'a window of some hours that is full',
      change: history(summary({ windowSeconds: 6 * 3600, spanSeconds: 6 * 3600 })),
      finds: 'history Enough',
    },
    {
      name: 'gaps',
      change: history(summary({ presentShare: 0.6, longestGap: { startSeconds: now - day, seconds: 7200 } })),
      finds: 'history Gaps',
      says: /40 % .* the longest gap is 2h from/,
    },
    { name: 'coarse', change: history(summary({ changeSeconds: 300 })), finds: 'history Coarse', says: /once in 5m/ },
    { name: 'stale', change: history(summary({ last: now - 600 })), finds: 'history Stale', says: /10m old/ },
    { name: 'refused', change: failedHistory('SeveralSeries'), finds: 'history QueryFailed' },
    {
      name: 'out of reach, as the cluster’s own names are',
      change: failedHistory('Unavailable'),
      finds: 'history OutOfReach',
      says: /the forecaster says: have 14d, need 2h/,
      fix: /^kubectl -n monitoring port-forward service\/prometheus 19090:9090, .* --prometheus-servers default=http:\/\/127/,
    },
    {
      name: 'out of reach, at an address that says nothing',
      change: failedHistory('Timeout', { url: 'http://10.0.0.7:9090' }),
      finds: 'history OutOfReach',
      fix: /^give a URL that works here: --prometheus-servers default=URL/,
    },
    {
      name: 'out of reach at the URL that was given',
      change: failedHistory('Unavailable', { isNamed: true }),
      finds: 'history Unreachable',
    },
    {
      name: 'a server that is not configured',
      change: history({ kind: 'unknown-server', server: 'two', names: ['default'] }),
      finds: 'history UnknownServer',
    },
    {
      name: 'no configuration that may be read, and no word of the forecaster',
      change: {
        ...history({ kind: 'no-configuration', failure: { code: 'Forbidden', message: 'no' } }),
        forecasts: { value: [forecast({ status: { observedGeneration: 1 } })] },
      },
      finds: 'history NoConfiguration',
      fix: /--prometheus-servers/,
    },
    {
      name: 'a configuration that is wrong',
      change: history({ kind: 'bad-configuration', message: 'ConfigMap: got x' }),
      finds: 'history BadConfiguration',
    },
    { name: 'another source', change: history({ kind: 'other-source' }), finds: 'history OtherSource' },
    { name: 'a Secret of its own', change: history({ kind: 'own-access' }), finds: 'history OwnAccess' },
  ]);
});

test('every reason of every check has been met above', () => {
  const all = Object.entries(checks).flatMap(([check, { reasons }]) =>
    Object.keys(reasons).map((reason) => `${check} ${reason}`),
  );
  expect([...seen].toSorted()).toEqual(all.toSorted());
});
