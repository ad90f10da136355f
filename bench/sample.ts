/** What one round of one peer gave. */
export interface Sample {
  readonly figures: ReadonlyArray<Figure>
  readonly cpu: CpuUsage | null
}

export interface Figure {
  /** What is measured, where the scenario's title does not say it: `""` where it does. */
  readonly name: string
  readonly unit: string
  readonly value: number
}

/** Shares of the measured time; `null` without procfs. */
export interface CpuUsage {
  /** Of the process that is measured. */
  readonly measured: number | null
  /** Of its counterpart: the load generator, or a client's server. */
  readonly counterpart: number | null
  /** Time one of the two was ready to run while something else had its CPU: the larger share. */
  readonly contention: number | null
  /** CPU time of the measured process for each message or connection, in microseconds. */
  readonly microsEach: number | null
}
