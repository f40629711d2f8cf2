// SPDX-License-Identifier: Apache-2.0
import { fieldManager } from '../api/labels.ts';
import { errorCode } from '../base/errors.ts';
import { apply } from '../kube/apply.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';

/** The Service that aggregated requests are to reach. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** The APIService to look after. */
export interface ApiServiceOptions {
  /** `<version>.<group>`. */
  readonly name: string;
  /** The Service's port, where we create the APIService. */
  readonly port: number;
  /** Owns an APIService that we create: when it is deleted with the rest of us, garbage collection deletes that too. */
  readonly ownerClusterRole: string;
}

export const apiServiceStates = ['Owned', 'Foreign', 'Missing', 'NotManaged'] as const;

/**
 * Who serves the APIService, and what was done about it: it is ours; another Service's, and left alone; not there, and
 * cannot be made; or its certificates are not ours to keep.
 */
export interface ApiServiceFinding {
  readonly state: (typeof apiServiceStates)[number];
  /** A sentence with the names in it, and what to do. */
  readonly message: string;
}

interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

type ApiService = KubeObject & {
  readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] };
  readonly spec?: {
    readonly service?: { readonly name?: string; readonly namespace?: string } | null;
    readonly caBundle?: string | null;
    readonly insecureSkipTLSVerify?: boolean;
  };
};

interface Wanted extends ApiServiceOptions {
  readonly service: ServiceName;
  readonly caBundlePem: string;
}

/** The decision about an APIService that is there; `patch` is a merge patch. */
type Decision = ApiServiceFinding & { readonly patch?: { readonly metadata?: object; readonly spec?: object } };

/** The annotation prefix by which cert-manager's ca-injector claims the caBundle. */
const injectorPrefix = 'cert-manager.io/inject-ca-from';
const apiVersion = 'apiregistration.k8s.io/v1';
const plural = 'apiservices';
const owner = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' } as const;

/**
 * Creates an APIService that is not there, and keeps `spec.caBundle` of one that names our Service what the aggregator
 * needs in order to verify us. One that names another is somebody else's: whoever applied last serves every external
 * metric of the cluster, and that is not ours to change. Only our owner reference is taken from it, so that our removal
 * does not remove it.
 * @throws HeadstartError of reading and writing; Conflict means that somebody changed it meanwhile
 */
export async function keepApiService(client: KubeClient, wanted: Wanted): Promise<ApiServiceFinding> {
  const path = resourcePath({ apiVersion, plural, name: wanted.name });
  const apiService = await readIfThere<ApiService>(client, path);
  if (apiService === undefined) return await create(client, wanted);
  const { patch, ...finding } = decide(apiService, wanted);
  if (patch !== undefined) {
    // With the version that was looked at: it must not have changed hands meanwhile.
    const metadata = { ...patch.metadata, resourceVersion: apiService.metadata.resourceVersion };
    await client.request({
      method: 'PATCH',
      path,
      query: { fieldManager },
      contentType: 'application/merge-patch+json',
      body: { ...patch, metadata },
    });
  }
  return finding;
}

/**
 * By server-side apply without force: if another came first, it is a Conflict and stays. The name is then part of the
 * request, so that RBAC can limit the right to create to this one name.
 */
async function create(client: KubeClient, wanted: Wanted): Promise<ApiServiceFinding> {
  const { name, port, service, ownerClusterRole, caBundlePem } = wanted;
  const missing = `there is no APIService ${name}: HPAs cannot read metrics from ${nameOf(service)}`;
  const role = await readIfThere<KubeObject>(
    client,
    resourcePath({ apiVersion: owner.apiVersion, plural: 'clusterroles', name: ownerClusterRole }),
  );
  const uid = role?.metadata.uid;
  if (uid === undefined || role?.metadata.deletionTimestamp !== undefined) {
    const why = `ClusterRole ${ownerClusterRole}, which is to own it, is not there`;
    return { state: 'Missing', message: `${missing}; it is not created, as ${why}: apply the manifests` };
  }
  const [version, ...group] = name.split('.');
  const spec = {
    group: group.join('.'),
    version,
    groupPriorityMinimum: 100,
    versionPriority: 100,
    caBundle: toBase64(caBundlePem),
    service: { ...service, port },
  };
  const metadata = {
    labels: { 'app.kubernetes.io/name': 'headstart', 'app.kubernetes.io/part-of': 'headstart' },
    ownerReferences: [{ ...owner, name: ownerClusterRole, uid }],
  };
  const body = { kind: 'APIService', metadata, spec };
  await apply(client, { apiVersion, plural, name }, body, { fieldManager, force: false });
  return owned(wanted);
}

function decide(apiService: ApiService, wanted: Wanted): Decision {
  const { name, service, caBundlePem } = wanted;
  const theirs = apiService.spec?.service;
  const ours = nameOf(service);
  if (nameOf(theirs) !== ours) {
    const finding = {
      state: 'Foreign',
      message: `APIService ${name} belongs to Service ${nameOf(theirs)} and is left alone: HPAs read external metrics there, not from ${ours}; remove that adapter (Headstart creates the APIService when it is gone), or read Headstart's metrics through it`,
    } as const;
    return disown(apiService, wanted, finding);
  }
  const manager = whoManages(apiService);
  if (manager !== undefined) {
    return { state: 'NotManaged', message: `APIService ${name} is ours, but ${manager}: its caBundle is left alone` };
  }
  const caBundle = toBase64(caBundlePem);
  return apiService.spec?.caBundle === caBundle ? owned(wanted) : { ...owned(wanted), patch: { spec: { caBundle } } };
}

/** Whoever took the APIService over with kubectl or Helm left our owner reference in it. */
function disown({ metadata }: ApiService, { ownerClusterRole }: Wanted, finding: ApiServiceFinding): Decision {
  const references = metadata.ownerReferences ?? [];
  const others = references.filter(({ kind, name }) => kind !== owner.kind || name !== ownerClusterRole);
  if (others.length === references.length) return finding;
  return { ...finding, patch: { metadata: { ownerReferences: others } } };
}

function owned({ name, service }: Wanted): ApiServiceFinding {
  return { state: 'Owned', message: `APIService ${name} belongs to ${nameOf(service)}` };
}

function whoManages({ metadata, spec }: ApiService): string | undefined {
  if (spec?.insecureSkipTLSVerify === true) return 'insecureSkipTLSVerify is set';
  const claimed = Object.keys(metadata.annotations ?? {}).find((key) => key.startsWith(injectorPrefix));
  return claimed === undefined ? undefined : `annotation ${claimed} gives it to cert-manager`;
}

async function readIfThere<T>(client: KubeClient, path: string): Promise<T | undefined> {
  try {
    return await client.request<T>({ path });
  } catch (error) {
    if (errorCode(error) === 'NotFound') return undefined;
    throw error;
  }
}

function nameOf(service: Partial<ServiceName> | null | undefined): string {
  return `${service?.namespace ?? ''}/${service?.name ?? ''}`;
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}
