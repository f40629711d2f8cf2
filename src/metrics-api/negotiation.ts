// SPDX-License-Identifier: Apache-2.0
import { StatusError } from '../server/status.ts';

/** One media range of an Accept header. */
interface Clause {
  readonly type: string;
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** A representation that there is: plain JSON, or JSON converted to `as` of group `g` and version `v`. */
export interface Offer {
  readonly as?: string;
  readonly g?: string;
  readonly v?: string;
}

/**
 * The offer that an Accept header prefers; a missing header takes the first. Follows apiserver
 * (pkg/endpoints/handlers/negotiation): a clause with `as`, `g` or `v` asks for that conversion and for nothing else,
 * other parameters are ignored; among equals the clause that stands first wins.
 * @throws StatusError NotAcceptable when it takes none of the offers
 */
export function requireOffer(accept: string | undefined, offers: readonly [Offer, ...Offer[]]): Offer {
  if (accept === undefined || accept.trim() === '') return offers[0];
  const clauses = accept
    .split(',')
    .map(parseClause)
    .filter(({ quality }) => quality > 0)
    .toSorted((a, b) => b.quality - a.quality);
  const readable = clauses.filter(({ type }) => ['application/json', 'application/*', '*/*'].includes(type));
  for (const { parameters } of readable) {
    const offer = offers.find(
      ({ as = '', g = '', v = '' }) =>
        (parameters.get('as') ?? '') === as && (parameters.get('g') ?? '') === g && (parameters.get('v') ?? '') === v,
    );
    if (offer !== undefined) return offer;
  }
  const message = 'only the following media types are accepted: application/json';
  // apiserver names no details when the type would do, but the conversion would not.
  throw new StatusError('NotAcceptable', message, readable.length === 0 ? { details: {} } : {});
}

function parseClause(text: string): Clause {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const parameters = new Map(
    rest.map((part) => {
      const [name = '', value = ''] = part.split('=', 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')] as const;
    }),
  );
  const quality = Number(parameters.get('q') ?? 1);
  return { type: type.toLowerCase(), quality: quality >= 0 && quality <= 1 ? quality : 1, parameters };
}
