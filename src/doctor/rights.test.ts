// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { describeRight, headstartRights } from './rights.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly name: string };
  readonly subjects?: readonly { readonly name: string; readonly namespace: string }[];
}

/** Roles of Kubernetes itself that Headstart binds (kubernetes: plugin/pkg/auth/authorizer/rbac/bootstrappolicy). */
const bootstrap: Readonly<Record<string, readonly Rule[]>> = {
  'system:auth-delegator': [
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ],
  'extension-apiserver-authentication-reader': [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['extension-apiserver-authentication'],
      verbs: ['get', 'list', 'watch'],
    },
  ],
};

async function granted(): Promise<string[]> {
  const base = new URL('../../manifests/base/', import.meta.url);
  const texts = await Promise.all(
    ['metrics', 'apiservice', 'forecaster'].map((role) => readFile(new URL(`rbac-${role}.yaml`, base), 'utf8')),
  );
  const manifests = texts.flatMap((text) => parseAllDocuments(text).map((item) => item.toJS() as Manifest));
  return manifests
    .filter(({ kind }) => kind.endsWith('RoleBinding'))
    .flatMap((binding) => {
      const { namespace } = binding.metadata;
      const { name = '' } = binding.roleRef ?? {};
      const role = manifests.find(
        (item) => item.rules !== undefined && item.metadata.name === name && item.metadata.namespace === namespace,
      );
      const rules = role?.rules ?? bootstrap[name] ?? [];
      return (binding.subjects ?? []).flatMap((subject) =>
        rules.flatMap((rule) => expand(rule, namespace).map((right) => `${subject.name}: ${right}`)),
      );
    });
}

function expand({ apiGroups, resources, resourceNames, verbs }: Rule, namespace: string | undefined): string[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((full) => {
      const [resource = '', subresource] = full.split('/');
      return (resourceNames ?? [undefined]).flatMap((name) =>
        verbs.map((verb) =>
          describeRight({
            subject: { namespace: '', serviceAccount: '' },
            verb,
            group,
            resource,
            ...(subresource === undefined ? {} : { subresource }),
            ...(name === undefined ? {} : { name }),
            ...(namespace === undefined ? {} : { namespace }),
          }),
        ),
      );
    }),
  );
}

test('the doctor asks for exactly the rights that manifests/base grants', async () => {
  const asked = headstartRights('headstart-system', true).map(
    (right) => `${right.subject.serviceAccount}: ${describeRight(right)}`,
  );
  expect(asked.toSorted()).toEqual((await granted()).toSorted());
});

test('an installation that leaves the APIService alone needs no right to it', () => {
  const asked = headstartRights('headstart-system', false).map(describeRight);
  expect(asked.filter((right) => /apiservices|clusterroles/.test(right))).toEqual([]);
});
