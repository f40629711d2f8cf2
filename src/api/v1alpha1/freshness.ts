// SPDX-License-Identifier: Apache-2.0

/**
 * A forecast that was issued longer ago than this is not published: the metrics replicas go by it, and the forecaster's
 * conditions say so.
 */
export const maxForecastAgeSeconds = 900;
