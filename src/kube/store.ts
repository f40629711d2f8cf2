// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from './client.ts';

/** The last known state of the objects that a reflector follows; answers from memory. */
export interface ObjectStore<T> {
  /** `namespace` is undefined for what has none. */
  get(namespace: string | undefined, name: string): T | undefined;
  /** All objects, or those of a namespace; in no order that may be relied on. */
  list(namespace?: string): readonly T[];
  /** Has there been one complete list? Stays true while the apiserver is away. */
  hasSynced(): boolean;
  /** When the apiserver last said something, ms since the epoch; 0 before that. */
  lastContactMs(): number;
}

/** One step in the life of an object; `old` is the state before it. */
export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'modified'; readonly object: T; readonly old: T }
  /** `object` is the last state that was seen. */
  | { readonly type: 'deleted'; readonly object: T };

/** An ObjectStore that its reflector writes to. */
export interface MutableStore<T extends KubeObject> extends ObjectStore<T> {
  /** Takes an object in; undefined when it is the one that is there already. */
  set(object: T): Change<T> | undefined;
  remove(namespace: string | undefined, name: string): Change<T> | undefined;
  /** Makes `objects` the whole content, except that `kept` (see `objectKey`) stay as they are. */
  replace(objects: readonly T[], kept: ReadonlySet<string>): Change<T>[];
  markSynced(): void;
  touch(nowMs: number): void;
}

/** `namespace/name`, or the name alone; also the key of a work queue. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** An empty store. */
export function createStore<T extends KubeObject>(): MutableStore<T> {
  const namespaces = new Map<string, Map<string, T>>();
  let synced = false;
  let contactMs = 0;

  const set = (object: T): Change<T> | undefined => {
    const { namespace = '', name } = object.metadata;
    const objects = namespaces.get(namespace) ?? new Map<string, T>();
    namespaces.set(namespace, objects);
    const old = objects.get(name);
    objects.set(name, object);
    if (old === undefined) return { type: 'added', object };
    return isSame(old, object) ? undefined : { type: 'modified', object, old };
  };
  const remove = (namespace: string | undefined, name: string): Change<T> | undefined => {
    const objects = namespaces.get(namespace ?? '');
    const object = objects?.get(name);
    if (objects === undefined || object === undefined) return undefined;
    objects.delete(name);
    if (objects.size === 0) namespaces.delete(namespace ?? '');
    return { type: 'deleted', object };
  };
  const list = (namespace?: string): T[] => {
    if (namespace !== undefined) return [...(namespaces.get(namespace)?.values() ?? [])];
    // Every second, over 100,000 clones.
    const all: T[] = [];
    for (const objects of namespaces.values()) for (const object of objects.values()) all.push(object);
    return all;
  };
  return {
    get: (namespace, name) => namespaces.get(namespace ?? '')?.get(name),
    list,
    hasSynced: () => synced,
    lastContactMs: () => contactMs,
    set,
    remove,
    replace: (objects, kept) => {
      const present = new Set([...kept, ...objects.map(keyOf)]);
      const gone = list()
        .filter((object) => !present.has(keyOf(object)))
        .map(({ metadata }) => remove(metadata.namespace, metadata.name));
      return [...gone, ...objects.map(set)].filter((change) => change !== undefined);
    },
    markSynced: () => {
      synced = true;
    },
    touch: (nowMs) => {
      contactMs = nowMs;
    },
  };
}

function keyOf({ metadata }: KubeObject): string {
  return objectKey(metadata.namespace, metadata.name);
}

function isSame({ metadata: a }: KubeObject, { metadata: b }: KubeObject): boolean {
  return a.resourceVersion !== undefined && a.resourceVersion === b.resourceVersion && a.uid === b.uid;
}
