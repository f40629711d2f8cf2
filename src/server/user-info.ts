// SPDX-License-Identifier: Apache-2.0

/** Who makes a request (user.Info of apiserver). */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

const anonymous = 'system:anonymous';
const authenticated = 'system:authenticated';
const unauthenticated = 'system:unauthenticated';

/**
 * The user with the group system:authenticated, unless it is anonymous or says already whether it is authenticated
 * (apiserver pkg/authentication/group/authenticated_group_adder.go). The aggregator's own identities come without it.
 */
export function withAuthenticatedGroup(user: UserInfo): UserInfo {
  const isSaid = user.groups.some((group) => group === authenticated || group === unauthenticated);
  return user.name === anonymous || isSaid ? user : { ...user, groups: [...user.groups, authenticated] };
}
