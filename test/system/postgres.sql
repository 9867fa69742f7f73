-- SPDX-License-Identifier: Apache-2.0
-- The tables of a management database that are read (storage 4b), with the indexes it says.
-- Some columns may be NULL here and not there, so that rows can be as bad as in any release.
CREATE TABLE events_latest (id varchar(64) PRIMARY KEY, type varchar(64) NOT NULL, payload text, parent_id varchar(64),
    created_at timestamp(6), updated_at timestamp(6));
CREATE INDEX ON events_latest (type);
CREATE INDEX ON events_latest (updated_at);
CREATE TABLE events_latest_properties (event_id varchar(64) NOT NULL, property_key varchar(64) NOT NULL,
    property_value varchar(256), PRIMARY KEY (event_id, property_key));
CREATE TABLE events_latest_environments (event_id varchar(64) NOT NULL, environment_id varchar(64) NOT NULL,
    PRIMARY KEY (event_id, environment_id));
CREATE TABLE events_latest_organizations (event_id varchar(64) NOT NULL, organization_id varchar(64) NOT NULL,
    PRIMARY KEY (event_id, organization_id));
CREATE TABLE subscriptions (id varchar(64) PRIMARY KEY, plan varchar(64), application varchar(64),
    application_name varchar(512), api varchar(64), environment_id varchar(64),
    starting_at timestamp(6), ending_at timestamp(6), created_at timestamp(6), updated_at timestamp(6),
    processed_at timestamp(6), processed_by varchar(64), subscribed_by varchar(64), client_id varchar(300),
    client_certificate text, request varchar(1024), reason varchar(1024), status varchar(64),
    consumer_status varchar(64), consumer_paused_at timestamp(6), paused_at timestamp(6), closed_at timestamp(6),
    failure_cause varchar(256), configuration text, type varchar(64), origin varchar(64), reference_id varchar(64),
    reference_type varchar(32));
CREATE INDEX ON subscriptions (environment_id, updated_at, id);
CREATE INDEX ON subscriptions (plan, id);
CREATE INDEX ON subscriptions (api);
CREATE INDEX ON subscriptions (reference_type, reference_id);
CREATE TABLE subscriptions_metadata (id bigserial PRIMARY KEY, subscription_id varchar(64) NOT NULL, k varchar(128),
    v varchar(4000));
CREATE INDEX ON subscriptions_metadata (subscription_id);
CREATE TABLE keys (id varchar(64) PRIMARY KEY, environment_id varchar(64), "key" varchar(128), subscription varchar(64),
    "plan" varchar(64), api varchar(64), application varchar(64), expire_at timestamp(6), created_at timestamp(6),
    updated_at timestamp(6), revoked boolean DEFAULT false NOT NULL, paused boolean, revoked_at timestamp(6),
    federated boolean DEFAULT false NOT NULL, days_to_expiration_on_last_notification integer);
CREATE INDEX ON keys (environment_id, updated_at, id);
CREATE INDEX ON keys ("key");
CREATE INDEX ON keys (updated_at);
CREATE TABLE key_subscriptions (key_id varchar(64) NOT NULL, subscription_id varchar(64) NOT NULL,
    PRIMARY KEY (key_id, subscription_id));
CREATE INDEX ON key_subscriptions (subscription_id);
CREATE TABLE environments (id varchar(64) PRIMARY KEY, name varchar(64), description varchar(512),
    organization_id varchar(64), cockpit_id varchar(64));
CREATE TABLE environment_hrids (environment_id varchar(64) NOT NULL, hrid varchar(64) NOT NULL, pos integer,
    PRIMARY KEY (environment_id, hrid));
CREATE TABLE organizations (id varchar(64) PRIMARY KEY, name varchar(64), description varchar(512),
    flow_mode varchar(32) DEFAULT 'DEFAULT', cockpit_id varchar(64));
CREATE TABLE organization_hrids (organization_id varchar(64) NOT NULL, hrid varchar(64) NOT NULL, pos integer,
    PRIMARY KEY (organization_id, hrid));
CREATE TABLE licenses (reference_id varchar(64) NOT NULL, reference_type varchar(64) NOT NULL,
    license varchar(256) NOT NULL, created_at timestamp(6), updated_at timestamp(6),
    PRIMARY KEY (reference_id, reference_type));
CREATE TABLE access_points (id varchar(64) PRIMARY KEY, reference_type varchar(64), reference_id varchar(64),
    target varchar(64), host varchar(256), secured boolean, overriding boolean, updated_at timestamp(6),
    status varchar(32) DEFAULT 'CREATED');
CREATE TABLE installation (id varchar(64) PRIMARY KEY, created_at timestamp(6), updated_at timestamp(6));
CREATE TABLE installation_informations (installation_id varchar(64) NOT NULL, information_key varchar(64) NOT NULL,
    information_value varchar(256), PRIMARY KEY (installation_id, information_key));
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader;
