// SPDX-License-Identifier: Apache-2.0

/** One right that somebody needs, as authorization.k8s.io names it. */
export interface Right {
  readonly subject: Subject;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
  /** Left out for the whole cluster. */
  readonly namespace?: string;
}

/** Who needs it. */
export interface Subject {
  readonly namespace: string;
  readonly serviceAccount: string;
}

type Rule = Omit<Right, 'subject' | 'verb'>;

export const hpaController: Subject = { namespace: 'kube-system', serviceAccount: 'horizontal-pod-autoscaler' };

const follow = ['list', 'watch'];
const read = ['get', ...follow];
const metricsGroup = 'external.metrics.k8s.io';
const forecasts = { group: 'headstart.dev', resource: 'demandforecasts' };

/**
 * What Headstart's ServiceAccounts need, as manifests/base grants it; a test holds the two together.
 * @param keepsApiService false for `--api-service=never`
 */
export function headstartRights(namespace: string, keepsApiService: boolean): Right[] {
  const metrics = { namespace, serviceAccount: 'headstart-metrics' };
  const forecaster = { namespace, serviceAccount: 'headstart-forecaster' };
  return [
    ...grant(metrics, follow, forecasts),
    ...(keepsApiService ? apiServiceRights(metrics) : []),
    ...grant(metrics, ['create'], { group: 'authentication.k8s.io', resource: 'tokenreviews' }),
    ...grant(metrics, ['create'], { group: 'authorization.k8s.io', resource: 'subjectaccessreviews' }),
    ...grant(metrics, ['get', 'update'], {
      group: '',
      resource: 'secrets',
      name: 'headstart-serving-certificate',
      namespace,
    }),
    ...grant(metrics, read, {
      group: '',
      resource: 'configmaps',
      name: 'extension-apiserver-authentication',
      namespace: 'kube-system',
    }),
    ...grant(forecaster, follow, forecasts),
    ...grant(forecaster, ['patch'], { ...forecasts, subresource: 'status' }),
    ...grant(forecaster, follow, { group: 'autoscaling', resource: 'horizontalpodautoscalers' }),
    ...grant(forecaster, ['get'], { group: 'apps', resource: 'deployments' }),
    ...grant(forecaster, ['get'], { group: 'apps', resource: 'statefulsets' }),
    ...grant(forecaster, ['list'], { group: '', resource: 'pods' }),
    ...grant(forecaster, ['list'], { group: 'metrics.k8s.io', resource: 'pods' }),
    ...grant(forecaster, ['get', 'create', 'patch'], { group: 'headstart.dev', resource: 'demandhistories' }),
    ...grant(forecaster, ['create', 'patch'], { group: 'events.k8s.io', resource: 'events' }),
    ...grant(forecaster, ['get', 'update'], {
      group: 'coordination.k8s.io',
      resource: 'leases',
      name: 'headstart-forecaster',
      namespace,
    }),
  ];
}

function apiServiceRights(metrics: Subject): Right[] {
  return [
    ...grant(metrics, ['get', 'create', 'patch'], {
      group: 'apiregistration.k8s.io',
      resource: 'apiservices',
      name: 'v1beta1.external.metrics.k8s.io',
    }),
    ...grant(metrics, ['get'], {
      group: 'rbac.authorization.k8s.io',
      resource: 'clusterroles',
      name: 'headstart-metrics',
    }),
    ...grant(metrics, ['create', 'patch'], {
      group: 'events.k8s.io',
      resource: 'events',
      namespace: metrics.namespace,
    }),
  ];
}

/** What the HPA controller needs: a metric of a namespace is read as a list. */
export function hpaRights(namespaces: readonly string[]): Right[] {
  return namespaces.flatMap((namespace) =>
    grant(hpaController, ['list'], { group: metricsGroup, resource: 'predicted_demand', namespace }),
  );
}

/** For people: `patch demandforecasts.headstart.dev/status`. */
export function describeRight({ verb, group, resource, subresource, name, namespace }: Right): string {
  const full = `${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
  const named = name === undefined ? '' : ` ${name}`;
  return `${verb} ${full}${named}${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
}

function grant(subject: Subject, verbs: readonly string[], rule: Rule): Right[] {
  return verbs.map((verb) => ({ subject, verb, ...rule }));
}
