// SPDX-License-Identifier: Apache-2.0
import { errorCode } from '../base/errors.ts';
import { fieldManager } from '../api/labels.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';

/** The Service that aggregated requests are to reach. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Who serves the APIService, and what was done about it: it is ours; another Service's, and left alone; not there; or
 * its certificates are not ours to keep.
 */
export interface ApiServiceFinding {
  readonly state: 'Owned' | 'Foreign' | 'Missing' | 'NotManaged';
  /** A sentence with the names in it, and what to do. */
  readonly message: string;
}

type ApiService = KubeObject & {
  readonly spec?: {
    readonly service?: { readonly name?: string; readonly namespace?: string } | null;
    readonly caBundle?: string | null;
    readonly insecureSkipTLSVerify?: boolean;
  };
};

/** The decision about an APIService; `patch` carries the new caBundle, base64. */
type Decision = ApiServiceFinding & { readonly patch?: string };

/** The annotation prefix by which cert-manager's ca-injector claims the caBundle. */
const injectorPrefix = 'cert-manager.io/inject-ca-from';

/**
 * Keeps `spec.caBundle` of an APIService what the aggregator needs in order to verify us, as long as the APIService
 * names our Service. One that names another is somebody else's: whoever applied last serves every external metric of
 * the cluster, and that is not ours to change.
 * @throws HeadstartError of reading and patching; Conflict means that somebody changed it meanwhile
 */
export async function keepCaBundle(
  client: KubeClient,
  apiServiceName: string,
  wanted: { readonly service: ServiceName; readonly caBundlePem: string },
): Promise<ApiServiceFinding> {
  const path = resourcePath({ apiVersion: 'apiregistration.k8s.io/v1', plural: 'apiservices', name: apiServiceName });
  const apiService = await client.request<ApiService>({ path }).catch((error: unknown) => {
    if (errorCode(error) === 'NotFound') return undefined;
    throw error;
  });
  const { patch, ...finding } = decide(apiService, apiServiceName, wanted);
  if (patch !== undefined) {
    await client.request({
      method: 'PATCH',
      path,
      query: { fieldManager },
      contentType: 'application/merge-patch+json',
      // With the version that was looked at: it must not have changed hands meanwhile.
      body: { metadata: { resourceVersion: apiService?.metadata.resourceVersion }, spec: { caBundle: patch } },
    });
  }
  return finding;
}

function decide(
  apiService: ApiService | undefined,
  name: string,
  { service, caBundlePem }: { readonly service: ServiceName; readonly caBundlePem: string },
): Decision {
  const ours = `${service.namespace}/${service.name}`;
  if (apiService === undefined) {
    return { state: 'Missing', message: `there is no APIService ${name}: HPAs cannot read metrics from ${ours}` };
  }
  const owner = apiService.spec?.service;
  const theirs = `${owner?.namespace ?? ''}/${owner?.name ?? ''}`;
  if (theirs !== ours) {
    return {
      state: 'Foreign',
      message: `APIService ${name} belongs to Service ${theirs} and is left alone: HPAs read external metrics there, not from ${ours}; remove that adapter, or read Headstart's metrics through it`,
    };
  }
  const manager = whoManages(apiService);
  if (manager !== undefined) {
    return { state: 'NotManaged', message: `APIService ${name} is ours, but ${manager}: its caBundle is left alone` };
  }
  const caBundle = Buffer.from(caBundlePem).toString('base64');
  const finding = { state: 'Owned', message: `APIService ${name} belongs to ${ours}` } as const;
  return apiService.spec?.caBundle === caBundle ? finding : { ...finding, patch: caBundle };
}

function whoManages({ metadata, spec }: ApiService): string | undefined {
  if (spec?.insecureSkipTLSVerify === true) return 'insecureSkipTLSVerify is set';
  const claimed = Object.keys(metadata.annotations ?? {}).find((key) => key.startsWith(injectorPrefix));
  return claimed === undefined ? undefined : `annotation ${claimed} gives it to cert-manager`;
}
