// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../capacity/hpa.ts';
import type { Failure, Reading } from './finding.ts';
import type { HistorySummary } from './history-summary.ts';
import type { Right } from './rights.ts';

/** What is read of a condition of any kind. */
export interface SeenCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** What is read of an apiregistration.k8s.io/v1 APIService. */
export interface ApiService {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly service?: { readonly name?: string; readonly namespace?: string } | null;
    readonly caBundle?: string | null;
    readonly insecureSkipTLSVerify?: boolean;
  };
  readonly status?: { readonly conditions?: readonly SeenCondition[] };
}

/** What is read of an admissionregistration.k8s.io/v1 MutatingWebhookConfiguration. */
export interface WebhookConfiguration {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly webhooks?:
    | readonly {
        readonly clientConfig?: {
          readonly caBundle?: string | null;
          readonly service?: { readonly name?: string; readonly namespace?: string } | null;
        };
      }[]
    | null;
}

/** What keeps clones from living for ever: the ValidatingAdmissionPolicy, and what its binding does. */
export interface CloneGuard {
  readonly isThere: boolean;
  /** Undefined where nothing binds it. */
  readonly actions: readonly string[] | undefined;
}

/** A serving certificate against the caBundle that the apiserver verifies it by. */
export interface CertificateFacts {
  /** Whether an authority of the caBundle has issued it; undefined where there is no caBundle. */
  readonly isTrusted: boolean | undefined;
  readonly endSeconds: number;
}

/** What is read of a Deployment. */
export interface Deployment {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
  readonly status?: { readonly readyReplicas?: number; readonly conditions?: readonly SeenCondition[] };
}

/** What is read of a Lease. */
export interface Lease {
  readonly metadata: { readonly managedFields?: readonly { readonly time?: string }[] };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly renewTime?: string;
  };
}

/** What is read of an HPA. */
export type Hpa = HorizontalPodAutoscaler & {
  readonly spec: {
    readonly minReplicas?: number;
    readonly maxReplicas?: number;
    readonly behavior?: { readonly scaleUp?: { readonly tolerance?: string } };
  };
  readonly status?: { readonly conditions?: readonly SeenCondition[] };
};

/** What the apiserver says about one right. */
export interface RightAnswer {
  readonly right: Right;
  readonly isAllowed: boolean;
}

/** An answer and how long it took. */
export interface Timed<T> {
  readonly answer: T;
  readonly milliseconds: number;
}

/** What was seen of the history of one DemandForecast. */
export type HistoryReading =
  | { readonly kind: 'read'; readonly server: string; readonly summary: HistorySummary }
  /** `isNamed`: the URL was given on the command line, so it is meant to be reachable from here. */
  | {
      readonly kind: 'failed';
      readonly server: string;
      readonly url: string;
      readonly isNamed: boolean;
      readonly failure: Failure;
    }
  | { readonly kind: 'unknown-server'; readonly server: string; readonly names: readonly string[] }
  | { readonly kind: 'no-configuration'; readonly failure: Failure }
  | { readonly kind: 'bad-configuration'; readonly message: string }
  | { readonly kind: 'other-source' }
  /** A server or a Secret of the forecast's own namespace. */
  | { readonly kind: 'own-access' };

/** Everything that the checks look at; times are epoch seconds. */
export interface Snapshot {
  /** The namespace that was looked at; undefined for all. */
  readonly namespace: string | undefined;
  readonly headstartNamespace: string;
  /** This machine's clock minus the apiserver's, and how exactly that is known. */
  readonly localClock: Reading<{ readonly aheadSeconds: number; readonly uncertaintySeconds: number }>;
  /** Undefined inside a reading: there is none. */
  readonly apiService: Reading<ApiService | undefined>;
  readonly certificate: Reading<CertificateFacts | undefined>;
  readonly metricsServer: Reading<ApiService | undefined>;
  readonly deployments: Readonly<Record<string, Reading<Deployment | undefined>>>;
  /** Of the forecaster. */
  readonly lease: Reading<Lease | undefined>;
  readonly clonesLease: Reading<Lease | undefined>;
  readonly webhook: Reading<WebhookConfiguration | undefined>;
  readonly webhookCertificate: Reading<CertificateFacts | undefined>;
  /** The time to live that a pod got that was marked as a clone, in a dry run; undefined inside where it got none. */
  readonly stamped: Reading<string | undefined>;
  readonly guard: Reading<CloneGuard>;
  readonly rights: Reading<readonly RightAnswer[]>;
  /** What an answer of the apiserver itself takes from here. */
  readonly roundTripMilliseconds: number;
  /** The names of the resources that discovery lists. */
  readonly discovery: Reading<Timed<readonly string[]>>;
  /** Undefined inside the reading: the kind is not installed. */
  readonly forecasts: Reading<readonly DemandForecast[] | undefined>;
  readonly hpas: Reading<readonly Hpa[]>;
  /** Undefined inside the reading: the kind is not installed. */
  readonly pools: Reading<readonly ClonePool[] | undefined>;
  /** By {@link keyOf}; absent where it was not asked for. */
  readonly metrics: ReadonlyMap<string, Reading<Timed<string>>>;
  readonly histories: ReadonlyMap<string, HistoryReading>;
}

/** Namespace and name. */
export function keyOf({
  metadata,
}: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
