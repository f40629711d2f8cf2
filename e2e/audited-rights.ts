// SPDX-License-Identifier: Apache-2.0
import { readAudit } from '../src/testing/audit.ts';
import type { AuditEvent } from '../src/testing/audit.ts';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import type { Manifest } from '../src/testing/rendering.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Binding extends Manifest {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
}

/** One thing that a ServiceAccount may do; a rule is many of them. */
interface Right {
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Undefined: in every namespace, or for what has none. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

/** What the audit log says about the rights of a rendering's ServiceAccounts. */
export interface RightsReport {
  /** Rights that no request has used. */
  readonly unused: readonly string[];
  /** Requests that were refused for want of a right. */
  readonly forbidden: readonly string[];
  readonly used: number;
}

/** Compares the rights that `objects` give to ServiceAccounts with what they have done so far. */
export async function reportRights(controlPlane: ControlPlane, objects: readonly Manifest[]): Promise<RightsReport> {
  const rights = await rightsOf(controlPlane, objects);
  const users = new Set(rights.map(({ user }) => user));
  const events = (await readAudit(controlPlane)).filter(({ user }) => users.has(user.username));
  const unused = rights.filter((right) => !events.some((event) => isUse(right, event)));
  const forbidden = events.filter(({ responseStatus }) => responseStatus?.code === 403);
  return {
    unused: [...new Set(unused.map(describe))].toSorted(),
    forbidden: [...new Set(forbidden.map(({ user, verb, requestURI }) => `${user.username} ${verb} ${requestURI}`))],
    used: rights.length - unused.length,
  };
}

async function rightsOf(controlPlane: ControlPlane, objects: readonly Manifest[]): Promise<Right[]> {
  const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding')) as Binding[];
  const rights = await Promise.all(
    bindings.map(async (binding) => {
      const rules = await rulesOf(controlPlane, binding);
      return binding.subjects.flatMap(({ name, namespace }) =>
        rules.flatMap((rule) => expand(rule, `system:serviceaccount:${namespace}:${name}`, binding.metadata.namespace)),
      );
    }),
  );
  return rights.flat();
}

/** From the cluster, which has those of Kubernetes' own too. */
async function rulesOf(controlPlane: ControlPlane, { roleRef, metadata }: Binding): Promise<readonly Rule[]> {
  const scope = roleRef.kind === 'Role' ? ['-n', metadata.namespace ?? ''] : [];
  const text = await controlPlane.kubectlOk(['get', roleRef.kind, roleRef.name, ...scope, '-o', 'json']);
  return (JSON.parse(text) as { rules: readonly Rule[] }).rules;
}

function expand(rule: Rule, user: string, namespace: string | undefined): Right[] {
  const names = rule.resourceNames ?? [undefined];
  return rule.apiGroups.flatMap((group) =>
    rule.resources.flatMap((resource) =>
      rule.verbs.flatMap((verb) => names.map((name) => ({ user, verb, group, resource, namespace, name }))),
    ),
  );
}

function isUse(right: Right, { verb, user, objectRef, responseStatus }: AuditEvent): boolean {
  if (objectRef === undefined || user.username !== right.user) return false;
  // A server-side apply that creates needs the right to do so.
  const verbs = verb === 'patch' && responseStatus?.code === 201 ? [verb, 'create'] : [verb];
  return verbs.includes(right.verb) && isAbout(right, objectRef);
}

function isAbout(right: Right, object: NonNullable<AuditEvent['objectRef']>): boolean {
  const { apiGroup = '', resource, subresource } = object;
  return (
    apiGroup === right.group &&
    [resource, ...(subresource === undefined ? [] : [subresource])].join('/') === right.resource &&
    [undefined, object.namespace].includes(right.namespace) &&
    [undefined, object.name].includes(right.name)
  );
}

function describe({ user, verb, group, resource, namespace, name }: Right): string {
  const what = [resource, ...(group === '' ? [] : [group])].join('.') + (name === undefined ? '' : `/${name}`);
  return `${user.split(':').at(-1)}: ${verb} ${what}${namespace === undefined ? '' : ` in ${namespace}`}`;
}
