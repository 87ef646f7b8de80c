/* t_query.h - the first half of a query in its executor, before there is anything to read. */
#ifndef T_QUERY_H
#define T_QUERY_H

struct err;
struct shop;

/* Parses work.sql of the job, asks the agent for the datasets it names ("ask": {tables: [{domain,
 * name}]}), and takes the answer as the job from here on. */
int query_ask(struct shop *shop, struct err *err);

#endif
