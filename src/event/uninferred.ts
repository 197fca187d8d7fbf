/** A, which the compiler does not infer from here: NoInfer, which TypeScript has only from 5.4 on. */
export type Uninferred<A> = [A][A extends unknown ? 0 : never];
