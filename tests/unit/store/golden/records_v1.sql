-- SPDX-License-Identifier: Apache-2.0
-- A database of schema version 1, as the ckptctld that knew it wrote it.
PRAGMA application_id = 1129009236;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE record (  id INTEGER PRIMARY KEY,  type INTEGER NOT NULL, epoch INTEGER NOT NULL,  uid INTEGER NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,  world INTEGER NOT NULL, copies INTEGER NOT NULL, bytes INTEGER NOT NULL,  reason TEXT NOT NULL, shards_crc INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
INSERT INTO record VALUES(1,1,1,0,'',0,0,0,0,0,'',0,705885911);
INSERT INTO record VALUES(2,5,1,1000,'llama',3,0,0,0,0,'',0,3906910977);
INSERT INTO record VALUES(3,2,1,1000,'llama',3,100,2,2,-9223372036854775806,'step 100',2824967811,4210691266);
INSERT INTO record VALUES(4,4,1,1000,'llama',3,100,0,0,0,'',0,607739445);
INSERT INTO record VALUES(5,2,1,1000,'llama',3,200,2,2,-9223372036854775806,'step 200',2794289994,2221395814);
INSERT INTO record VALUES(6,1,2,0,'',0,0,0,0,0,'',0,4289227319);
INSERT INTO record VALUES(7,3,2,1000,'llama',3,100,0,0,0,'',0,2393514496);
INSERT INTO record VALUES(8,2,2,1000,'llama',3,300,3,2,-9223372036854775805,'step 300',647330946,1359587302);
INSERT INTO record VALUES(9,7,2,1000,'llama',3,200,0,0,0,'',0,197299944);
INSERT INTO record VALUES(10,6,2,1000,'llama',3,300,0,0,0,'',0,4209733416);
INSERT INTO record VALUES(11,4,2,1000,'llama',3,300,0,0,0,'',0,853164844);
INSERT INTO record VALUES(12,1,5,0,'',0,0,0,0,0,'',0,1596485829);
INSERT INTO record VALUES(13,3,5,1000,'llama',3,200,0,0,0,'',0,1016397500);
INSERT INTO record VALUES(14,2,5,1000,'llama',3,200,2,2,-9223372036854775806,'step 200',2794289994,2428177775);
INSERT INTO record VALUES(15,7,5,1001,'llama',3,200,0,0,0,'',0,2640010737);
CREATE TABLE shards (record INTEGER PRIMARY KEY, sizes_and_digests BLOB NOT NULL) STRICT;
INSERT INTO shards VALUES(8,X'ffffffffffffffff2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2cfeffffffffffffff2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2dfdffffffffffffff2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e');
INSERT INTO shards VALUES(14,X'ffffffffffffffffc8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8c8feffffffffffffffc9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9c9');
CREATE INDEX record_epoch ON record (epoch) WHERE type = 1;
CREATE INDEX record_consistent ON record (uid, run, attempt, step) WHERE type = 2;
CREATE INDEX record_retired ON record (uid, run, attempt, step) WHERE type = 3;
COMMIT;
