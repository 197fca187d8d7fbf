/** Milliseconds from 1970 to 2000, where PostgreSQL's time begins. */
const epoch = 946_684_800_000;

/**
 * The message that tells a server how far its log is read, stored and applied: for us one place.
 *
 * @param asks - whether the server has to answer at once
 */
export function standbyStatus(place: bigint, asks: boolean): Buffer {
  const message = Buffer.alloc(39);
  message.write("d");
  message.writeInt32BE(38, 1);
  message.write("r", 5);
  for (const at of [6, 14, 22]) message.writeBigUInt64BE(place, at);
  message.writeBigInt64BE(BigInt(Date.now() - epoch) * 1000n, 30);
  message.writeUInt8(asks ? 1 : 0, 38);
  return message;
}
