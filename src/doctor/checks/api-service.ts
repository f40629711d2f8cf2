// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../base/duration.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { ApiService, CertificateFacts, SeenCondition, Snapshot } from '../snapshot.ts';
import { foreignMetrics } from './hpas.ts';

const name = 'v1beta1.external.metrics.k8s.io';
const object = { kind: 'APIService', name };
const install = 'kubectl apply -k manifests/base';
/** Headstart renews its own certificate 30 days before it ends. */
const endingSeconds = 21 * 86_400;

/** Services of adapters that are met often, by a part of their name. */
const adapters: readonly (readonly [RegExp, string])[] = [
  [/keda/, 'KEDA'],
  [/datadog/, 'Datadog (Helm: clusterAgent.metricsProvider.registerAPIService=false)'],
  [/prometheus-adapter/, 'prometheus-adapter (Helm: rules.external)'],
  [/stackdriver/, 'the Stackdriver adapter'],
  [/cloudwatch/, 'the CloudWatch adapter'],
  [/azure/, 'the Azure adapter'],
  [/kube-metrics-adapter/, 'kube-metrics-adapter'],
];

/** Who serves the external metrics API, and whether the apiserver can use it. */
export function checkApiService(snapshot: Snapshot, now: number): Finding[] {
  if ('failure' in snapshot.apiService) return [notRead('api-service', snapshot.apiService.failure, object)];
  const apiService = snapshot.apiService.value;
  if (apiService === undefined) {
    const message = `there is no APIService ${name}: no HPA can read an external metric`;
    return [
      finding('api-service', 'Missing', {
        message,
        fix: `${install}; then look at the log of headstart-metrics`,
        object,
      }),
    ];
  }
  if (!isOurs(snapshot)) return [foreign(snapshot, apiService)];
  const unavailable = judgeAvailable(apiService.status?.conditions);
  const certificate = judgeCertificate(snapshot, apiService, now);
  const problems = [...unavailable, ...certificate];
  if (problems.some(({ status }) => status !== 'skipped')) return problems;
  const message = `APIService ${name} belongs to Service ${ownService(snapshot)}, and is available`;
  return [finding('api-service', 'Available', { message, object }), ...problems];
}

/** Whether metrics that are read through the apiserver are Headstart's; false where that is not known. */
export function isOurs(snapshot: Snapshot): boolean {
  if ('failure' in snapshot.apiService || snapshot.apiService.value === undefined) return false;
  return serviceOf(snapshot.apiService.value) === ownService(snapshot);
}

function ownService({ headstartNamespace }: Snapshot): string {
  return `${headstartNamespace}/headstart-metrics`;
}

function serviceOf({ spec }: ApiService): string {
  return `${spec?.service?.namespace ?? ''}/${spec?.service?.name ?? ''}`;
}

function foreign(snapshot: Snapshot, apiService: ApiService): Finding {
  const owner = serviceOf(apiService);
  const adapter = adapters.find(([pattern]) => pattern.test(owner))?.[1];
  const whose = adapter === undefined ? '' : `, which looks like ${adapter}`;
  const others = foreignMetrics(snapshot);
  const breaks =
    others.length === 0
      ? 'No HPA that was looked at reads any other external metric'
      : `These HPAs read other external metrics, and would lose them: ${others.slice(0, 5).join(', ')}`;
  return finding('api-service', 'Foreign', {
    message: `APIService ${name} belongs to Service ${owner}${whose}: HPAs read external metrics there, not from ${ownService(snapshot)}`,
    fix:
      `a cluster has one owner of it, and Headstart takes nothing over: stop that adapter from registering it, then ` +
      `${install}. ${breaks}`,
    object,
  });
}

const remedies: Readonly<Record<string, string>> = {
  ServiceNotFound: install,
  EndpointsNotFound: 'no pod of headstart-metrics is behind the Service: look at its pods',
  MissingEndpoints: 'no pod of headstart-metrics is ready: look at its pods and their logs',
  FailedDiscoveryCheck:
    'the apiserver must reach the pods on port 10250 (--secure-port): look for a firewall or a NetworkPolicy between them',
};

function judgeAvailable(conditions: readonly SeenCondition[] | undefined): Finding[] {
  const available = conditions?.find(({ type }) => type === 'Available');
  if (available?.status === 'True') return [];
  const reason = available?.reason ?? 'Unknown';
  const message = `APIService ${name} is not available: ${reason}: ${available?.message ?? 'the apiserver has not looked yet'}`;
  const fix = remedies[reason] ?? `kubectl get apiservice ${name} -o yaml`;
  return [finding('api-service', 'Unavailable', { message, fix, object })];
}

function judgeCertificate({ certificate }: Snapshot, { spec }: ApiService, now: number): Finding[] {
  if (spec?.insecureSkipTLSVerify === true) {
    const message = `APIService ${name} has insecureSkipTLSVerify: anybody on the way can answer in Headstart's place`;
    const fix = 'remove insecureSkipTLSVerify; Headstart then fills in the caBundle';
    return [finding('api-service', 'Insecure', { message, fix, object })];
  }
  if ((spec?.caBundle ?? '') === '') {
    const message = `APIService ${name} has no caBundle: the apiserver cannot verify Headstart's certificate`;
    const fix = 'Headstart fills it in within seconds: look for "keeping certificates" in the log of headstart-metrics';
    return [finding('api-service', 'CaBundleMissing', { message, fix, object })];
  }
  if ('failure' in certificate || certificate.value === undefined) {
    const why = 'failure' in certificate ? certificate.failure.message : 'the Secret holds no certificate';
    const message = `whether the caBundle fits the serving certificate was not looked at: ${why}`;
    return [finding('api-service', 'CertificateNotChecked', { message, object })];
  }
  return judgeFacts(certificate.value, now);
}

function judgeFacts({ isTrusted, endSeconds }: CertificateFacts, now: number): Finding[] {
  const secret = 'Secret headstart-serving-certificate';
  if (isTrusted === false) {
    const message = `no authority in the caBundle of APIService ${name} has issued the certificate in ${secret}`;
    const fix =
      'Headstart repairs it within a minute if it may: look for "keeping certificates" in the log of headstart-metrics, and for others that write the APIService';
    return [finding('api-service', 'CaBundleMismatch', { message, fix, object })];
  }
  if (endSeconds - now > endingSeconds) return [];
  const left = endSeconds > now ? `ends in ${formatDuration(endSeconds - now)}` : 'has ended';
  const message = `the certificate in ${secret} ${left}, on ${formatRfc3339(endSeconds)}, and has not been renewed`;
  const fix = 'look for "keeping certificates" in the log of headstart-metrics';
  return [finding('api-service', 'CertificateEnding', { message, fix, object })];
}
