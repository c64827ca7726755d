// Node 20 lacks what js-libp2p 3 calls; Node 22 has it. Imported before everything else.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
