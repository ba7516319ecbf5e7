/** The value of the sorted samples below which the share lies. */
export function percentile(samples, share) {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Several rounds as their median, with the least and the most. */
export function summary(values) {
  return { median: percentile(values, 0.5), least: Math.min(...values), most: Math.max(...values) };
}
