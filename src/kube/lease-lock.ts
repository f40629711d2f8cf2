// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';
import type { KubeClient, KubeObject } from './client.ts';
import { resourcePath } from './paths.ts';
import { microTime } from './time.ts';

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Which Lease, held by whom, for how long. */
export interface LeaseLockOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  readonly leaseDurationMs: number;
  /** The wall clock, for the times that people read in the Lease; no decision rests on them. */
  readonly nowMs: () => number;
  /** A clock that is never set back, for how long another's record has stood still. */
  readonly monotonicMs: () => number;
}

const apiVersion = 'coordination.k8s.io/v1';
const releaseTimeoutMs = 5_000;

/**
 * The record of who leads, in a Lease (client-go: tools/leaderelection). Each write names the version it read, so of
 * two that try at once one fails; whether another's record has expired is judged by how long it has not changed here.
 */
export class LeaseLock {
  readonly #options: LeaseLockOptions;
  #observed: Lease | undefined;
  #observedAtMs = 0;

  constructor(options: LeaseLockOptions) {
    this.#options = options;
  }

  /** Whoever held the lock when it was last looked at; empty for nobody. */
  holder(): string {
    return this.#observed?.spec?.holderIdentity ?? '';
  }

  /**
   * Takes the lock when it is free or expired, renews it when it is held here.
   * @returns false when another holds it, or was quicker
   * @throws HeadstartError when the apiserver could not be asked
   */
  async acquireOrRenew(limits: Limits): Promise<boolean> {
    // The leader renews without reading first; when that is refused, somebody else has written.
    if (this.holder() === this.#options.identity && !this.#hasExpired() && (await this.#write(limits))) return true;
    if (!(await this.#read(limits))) return await this.#write(limits);
    const isHeldElsewhere = this.holder() !== '' && this.holder() !== this.#options.identity;
    return isHeldElsewhere && !this.#hasExpired() ? false : await this.#write(limits);
  }

  /** Gives the lock up, if it is still held here, so that the next one need not wait for its expiry. */
  async release(): Promise<void> {
    const limits = { timeoutMs: releaseTimeoutMs };
    // Read first: a renewal that was broken off may have been carried out all the same.
    if (!(await this.#read(limits)) || this.holder() !== this.#options.identity) return;
    const now = microTime(this.#options.nowMs());
    const { leaseTransitions = 0 } = this.#observed?.spec ?? {};
    const spec = { leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions };
    await this.#put(spec, limits);
  }

  #hasExpired(): boolean {
    const { leaseDurationMs, monotonicMs } = this.#options;
    const seconds = this.#observed?.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000;
    return monotonicMs() - this.#observedAtMs >= seconds * 1000;
  }

  /** @returns false when there is no Lease yet */
  async #read(limits: Limits): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    try {
      this.#observe(await client.request<Lease>({ path: leasePath(namespace, name), ...limits }));
      return true;
    } catch (error) {
      if (!(error instanceof HeadstartError && error.code === 'NotFound')) throw error;
      this.#observed = undefined;
      return false;
    }
  }

  #observe(lease: Lease): void {
    const isUnchanged = JSON.stringify(lease.spec) === JSON.stringify(this.#observed?.spec);
    this.#observed = lease;
    if (!isUnchanged) this.#observedAtMs = this.#options.monotonicMs();
  }

  /** Writes this one's identity over what was observed; false when somebody else was quicker. */
  async #write(limits: Limits): Promise<boolean> {
    const { identity, leaseDurationMs, nowMs } = this.#options;
    const before = this.#observed?.spec;
    const now = microTime(nowMs());
    const isRenewal = before?.holderIdentity === identity;
    const transitions = before?.leaseTransitions ?? 0;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: isRenewal ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: before === undefined || isRenewal ? transitions : transitions + 1,
    };
    return await this.#put(spec, limits);
  }

  async #put(spec: LeaseSpec, limits: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const metadata = this.#observed?.metadata ?? { namespace, name };
    const body = { apiVersion, kind: 'Lease', metadata, spec };
    const isNew = this.#observed === undefined;
    try {
      const path = leasePath(namespace, isNew ? undefined : name);
      this.#observe(await client.request<Lease>({ method: isNew ? 'POST' : 'PUT', path, body, ...limits }));
      return true;
    } catch (error) {
      const isLost = error instanceof HeadstartError && ['Conflict', 'AlreadyExists', 'NotFound'].includes(error.code);
      if (!isLost) throw error;
      return false;
    }
  }
}

function leasePath(namespace: string, name: string | undefined): string {
  return resourcePath({ apiVersion, plural: 'leases', namespace, name });
}
