/** Makes what is asked for, and remembers so many: those that were asked for last. */
export function recent<K, V>(most: number, make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    // Anew, at its end: a Map keeps the order in which its keys were set.
    known.delete(key);
    known.set(key, value);
    for (const [oldest] of known) {
      if (known.size <= most || oldest === key) break;
      known.delete(oldest);
    }
    return value;
  };
}
