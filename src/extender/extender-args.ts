// SPDX-License-Identifier: Apache-2.0
import { HeadstartError } from '../base/errors.ts';
import type { PodObject } from '../capacity/clones/read-clone.ts';

/** What kube-scheduler asks about. */
export interface ExtenderArgs {
  /** What of the pod its end depends on. */
  readonly pod: PodObject;
  /** The nodes on which it may run. */
  readonly nodeNames: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads ExtenderArgs of k8s.io/kube-scheduler/extender/v1 after JSON. Its Go structs have no JSON names: keys begin with
 * capitals, and Go takes them in any case, as is done here. Nodes are names with nodeCacheCapable, else whole objects.
 * @throws HeadstartError InvalidInput naming the field
 */
export function parseExtenderArgs(body: unknown): ExtenderArgs {
  const args = requireFields(body, 'ExtenderArgs');
  return { pod: readPod(field(args, 'Pod')), nodeNames: readNodeNames(args) };
}

/** The value under a key in any case, the last one as in encoding/json; null is none. */
function field(fields: Fields, name: string): unknown {
  const wanted = name.toLowerCase();
  const found = Object.entries(fields).findLast(([key]) => key.toLowerCase() === wanted);
  return found?.[1] ?? undefined;
}

/** Of another type, what only describes the pod counts as missing: kube-apiserver has checked it. */
function readPod(given: unknown): PodObject {
  const metadata = requireFields(requireFields(given, 'Pod')['metadata'], 'Pod.metadata');
  const { name, namespace, creationTimestamp } = metadata;
  if (typeof name !== 'string') throw invalid('Pod.metadata.name', name, 'a string');
  return {
    metadata: {
      name,
      ...(typeof namespace === 'string' ? { namespace } : {}),
      ...(typeof creationTimestamp === 'string' ? { creationTimestamp } : {}),
      labels: readTexts(metadata['labels']),
      annotations: readTexts(metadata['annotations']),
    },
  };
}

function readTexts(given: unknown): Readonly<Record<string, string>> {
  if (!isFields(given)) return {};
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function readNodeNames(args: Fields): readonly string[] {
  const names = field(args, 'NodeNames');
  if (names !== undefined) {
    if (!Array.isArray(names)) throw invalid('NodeNames', names, 'an array of strings');
    return names.map((name: unknown, index) => {
      if (typeof name !== 'string') throw invalid(`NodeNames[${index}]`, name, 'a string');
      return name;
    });
  }
  const nodes = field(args, 'Nodes');
  if (nodes === undefined) throw invalid('NodeNames', undefined, 'an array of strings, or Nodes');
  const items = field(requireFields(nodes, 'Nodes'), 'items') ?? [];
  if (!Array.isArray(items)) throw invalid('Nodes.items', items, 'an array of Nodes');
  return items.map(readNodeName);
}

function readNodeName(node: unknown, index: number): string {
  const metadata = isFields(node) ? node['metadata'] : undefined;
  const name = isFields(metadata) ? metadata['name'] : undefined;
  if (typeof name !== 'string') throw invalid(`Nodes.items[${index}].metadata.name`, name, 'a string');
  return name;
}

function requireFields(given: unknown, what: string): Fields {
  if (isFields(given)) return given;
  throw invalid(what, given, 'an object');
}

function isFields(given: unknown): given is Fields {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

const shownCharacters = 40;

function invalid(what: string, given: unknown, allowed: string): HeadstartError {
  const text = given === undefined ? 'nothing' : JSON.stringify(given).slice(0, shownCharacters);
  return new HeadstartError('InvalidInput', `${what}: got ${text}, want ${allowed}`);
}
