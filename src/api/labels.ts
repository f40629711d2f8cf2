// SPDX-License-Identifier: Apache-2.0

/** The only label that a metric selector matches: the name of the DemandForecast in the HPA's namespace. */
export const forecastLabel = 'forecast';

/** The group of Headstart's own kinds. */
export const apiGroup = 'headstart.dev';
export const apiVersion = 'headstart.dev/v1alpha1';
/** The resource of DemandForecasts; here, so that who only reads them need not load their schema. */
export const demandForecasts = 'demandforecasts';

/** The manager of the fields that Headstart applies; of a status: what changes with every loop. */
export const fieldManager = 'headstart';
/** The manager of the rest of a status: conditions, and what explains the forecast. */
export const slowFieldManager = 'headstart-conditions';

/** The metrics that are served, in the order in which discovery lists them. */
export const metricNames = ['predicted_demand', 'observed_demand', 'forecast_demand'] as const;
export type MetricName = (typeof metricNames)[number];
