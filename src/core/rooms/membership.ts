/** https://spec.matrix.org/v1.19/client-server-api/#mroommember */
export type Membership = 'join' | 'invite' | 'leave' | 'ban' | 'knock'
