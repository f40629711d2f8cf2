// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from '../base/errors.ts';

/** The only version that is spoken. */
export const reviewVersion = 'admission.k8s.io/v1';

/** An owner of the pod under review. */
export interface PodOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly isController: boolean;
}

/**
 * What is looked at of a pod. Its name may not be known yet, and its uid and creation time are not to be relied on
 * while it is being created.
 */
export interface ReviewedPod {
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined where the object has no such map: then it has to be made first. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly owners: readonly PodOwner[];
}

/** What is looked at of an AdmissionReview's request. */
export interface ReviewRequest {
  readonly uid: string;
  /** CREATE, UPDATE, DELETE or CONNECT. */
  readonly operation: string;
  /** Group and plural, `/pods` for pods. */
  readonly resource: string;
  readonly subResource: string;
  readonly namespace: string;
  /** Undefined where there is nothing to create. */
  readonly pod: ReviewedPod | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads a decoded AdmissionReview (k8s.io/api/admission/v1). Fields that are not looked at may hold anything.
 * @throws HeadstartError InvalidInput, naming the field
 */
export function parseReview(body: unknown): ReviewRequest {
  const review = fields(body, 'AdmissionReview');
  if (review['apiVersion'] !== reviewVersion) throw invalidInput('apiVersion', review['apiVersion'], reviewVersion);
  if (review['kind'] !== 'AdmissionReview') throw invalidInput('kind', review['kind'], 'AdmissionReview');
  const request = fields(review['request'], 'request');
  const resource = fields(request['resource'], 'request.resource');
  const uid = text(request['uid'], 'request.uid');
  if (uid === '') throw invalidInput('request.uid', uid, 'a text that is not empty');
  const operation = text(request['operation'], 'request.operation');
  const { object } = request;
  if (operation === 'CREATE') fields(object, 'request.object');
  return {
    uid,
    operation,
    resource: `${optionalText(resource['group'], 'request.resource.group')}/${text(resource['resource'], 'request.resource.resource')}`,
    subResource: optionalText(request['subResource'], 'request.subResource'),
    namespace: optionalText(request['namespace'], 'request.namespace'),
    pod: isAbsent(object) ? undefined : parsePod(fields(object, 'request.object')),
  };
}

function parsePod(object: Fields): ReviewedPod {
  const where = 'request.object.metadata';
  const metadata = fields(object['metadata'], where);
  const { ownerReferences } = metadata;
  if (!isAbsent(ownerReferences) && !Array.isArray(ownerReferences)) {
    throw invalidInput(`${where}.ownerReferences`, describe(ownerReferences), 'a list');
  }
  const owners: readonly unknown[] = Array.isArray(ownerReferences) ? ownerReferences : [];
  return {
    labels: textMap(metadata['labels'], `${where}.labels`) ?? {},
    annotations: textMap(metadata['annotations'], `${where}.annotations`),
    owners: owners.map((owner, index) => parseOwner(owner, `${where}.ownerReferences[${index}]`)),
  };
}

function parseOwner(owner: unknown, where: string): PodOwner {
  const { apiVersion, kind, name, controller } = fields(owner, where);
  return {
    apiVersion: text(apiVersion, `${where}.apiVersion`),
    kind: text(kind, `${where}.kind`),
    name: text(name, `${where}.name`),
    isController: controller === true,
  };
}

function textMap(value: unknown, where: string): Record<string, string> | undefined {
  if (isAbsent(value)) return undefined;
  const entries = Object.entries(fields(value, where));
  return Object.fromEntries(entries.map(([key, item]) => [key, text(item, `${where}[${key}]`)]));
}

function fields(value: unknown, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalidInput(where, describe(value), 'an object');
}

function text(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  throw invalidInput(where, describe(value), 'a text');
}

function optionalText(value: unknown, where: string): string {
  return isAbsent(value) ? '' : text(value, where);
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** What a value is; its contents are the user's. */
function describe(value: unknown): string {
  if (isAbsent(value)) return 'nothing';
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}
