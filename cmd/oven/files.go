package main

import (
	"context"
	"iter"

	patients "buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/config"
	"buttersc.one/oven/internal/socket/doctor"
)

// files opens the store of files: a folder of the data directory, and an object
// store where the settings name a bucket. What is in the one place and belongs
// into the other is read from there, and moves while the server runs.
func (o *opened) files(cfg *config.Config, dir string) (blob.Store, error) {
	disk, err := blob.NewDisk(dir + "/files")
	if err != nil {
		return nil, err
	}
	o.defers(func() { _ = disk.Close() })
	if cfg.S3.Bucket == "" {
		return disk, nil
	}
	s3, err := bucket(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.S3.Leave {
		return &blob.Moving{To: disk, From: s3}, nil
	}
	return &blob.Moving{To: s3, From: disk}, nil
}

func bucket(cfg *config.Config) (*blob.S3, error) {
	return blob.NewS3(blob.S3Options{Endpoint: cfg.S3.Endpoint, Bucket: cfg.S3.Bucket, Region: cfg.S3.Region, AccessKey: cfg.S3.AccessKey,
		SecretKey: cfg.S3.SecretKey, Prefix: cfg.S3.Prefix, PathStyle: cfg.S3.PathStyle})
}

// listed is the store of files, to be looked at only.
type listed []doctor.Files

// All yields the files of every place.
func (l listed) All(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for _, place := range l {
			for i, err := range place.All(ctx) {
				if !yield(i, err) || err != nil {
					return
				}
			}
		}
	}
}

func storeOf(cfg *config.Config) (doctor.Files, error) {
	folder := patients.Folder(cfg.DataDir + "/files")
	if cfg.S3.Bucket == "" {
		return folder, nil
	}
	s3, err := bucket(cfg)
	if err != nil {
		return nil, err
	}
	return listed{folder, s3}, nil
}
