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
const pools = { group: 'headstart.dev', resource: 'clonepools' };
const hpas = { group: 'autoscaling', resource: 'horizontalpodautoscalers' };
const pods = { group: '', resource: 'pods' };
const usage = { group: 'metrics.k8s.io', resource: 'pods' };
const events = { group: 'events.k8s.io', resource: 'events' };

/**
 * What Headstart's ServiceAccounts need, as manifests/base grants it; a test holds the two together.
 * @param keepsApiService false for `--api-service=never`
 */
export function headstartRights(namespace: string, keepsApiService: boolean): Right[] {
  const metrics = { namespace, serviceAccount: 'headstart-metrics' };
  const forecaster = { namespace, serviceAccount: 'headstart-forecaster' };
  return [
    ...grant(metrics, follow, forecasts),
    ...grant(metrics, follow, pools),
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
    ...grant(forecaster, follow, hpas),
    ...grant(forecaster, ['get'], { group: 'apps', resource: 'deployments' }),
    ...grant(forecaster, ['get'], { group: 'apps', resource: 'statefulsets' }),
    ...grant(forecaster, ['list'], pods),
    ...grant(forecaster, ['list'], usage),
    ...grant(forecaster, ['get', 'create', 'patch'], { group: 'headstart.dev', resource: 'demandhistories' }),
    ...grant(forecaster, ['create', 'patch'], events),
    ...grant(forecaster, ['get', 'update'], {
      group: 'coordination.k8s.io',
      resource: 'leases',
      name: 'headstart-forecaster',
      namespace,
    }),
    ...clonesRights(namespace),
  ];
}

function clonesRights(namespace: string): Right[] {
  const clones = { namespace, serviceAccount: 'headstart-clones' };
  const own = (group: string, resource: string, name: string): Right[] =>
    grant(clones, ['get', 'update'], { group, resource, name, namespace });
  return [
    ...grant(clones, [...read, 'patch'], pools),
    ...grant(clones, ['patch'], { ...pools, subresource: 'status' }),
    ...grant(clones, ['update'], { ...pools, subresource: 'finalizers' }),
    ...grant(clones, follow, { ...pools, resource: 'clonetemplates' }),
    ...grant(clones, follow, forecasts),
    ...grant(clones, follow, hpas),
    ...grant(clones, ['get'], { group: 'apps', resource: 'deployments' }),
    ...grant(clones, ['list'], { group: '', resource: 'services' }),
    ...grant(clones, ['list'], { group: 'networking.k8s.io', resource: 'networkpolicies' }),
    ...grant(clones, ['list'], { group: 'policy', resource: 'poddisruptionbudgets' }),
    ...grant(clones, [...read, 'create', 'patch', 'delete'], pods),
    ...grant(clones, ['create'], { ...pods, subresource: 'eviction' }),
    ...grant(clones, ['list'], usage),
    ...grant(clones, ['create', 'patch'], events),
    ...own('coordination.k8s.io', 'leases', 'headstart-clones'),
    ...own('', 'secrets', 'headstart-clones-certificate'),
    ...grant(clones, ['get', 'patch'], {
      group: 'admissionregistration.k8s.io',
      resource: 'mutatingwebhookconfigurations',
      name: 'headstart-clone-defaults',
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
