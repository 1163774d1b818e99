"""gantune's GAN trainer. Nothing is imported here, so that ``gantune.gan.tick`` needs no torch."""
