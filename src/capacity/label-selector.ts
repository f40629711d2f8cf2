// SPDX-License-Identifier: Apache-2.0

/** metav1.LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelExpression[];
}

interface LabelExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** Everything that a selector asks for; all of it must hold. */
export function requirements(selector: LabelSelector | undefined): LabelExpression[] {
  const labels = Object.entries(selector?.matchLabels ?? {});
  return [
    ...labels.map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
    ...(selector?.matchExpressions ?? []),
  ];
}

/**
 * Whether the selector matches the labels, as apimachinery decides it (pkg/labels/selector.go): `NotIn` also holds where
 * the label is absent, and an empty selector matches everything.
 */
export function matchesSelector(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return requirements(selector).every(({ key, operator, values = [] }) =>
    meetsRequirement(operator, values, Object.hasOwn(labels, key) ? labels[key] : undefined),
  );
}

/** Whether a label's value, undefined where it is absent, is what one condition asks for. */
export function meetsRequirement(
  operator: LabelExpression['operator'],
  values: readonly string[],
  value: string | undefined,
): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}
